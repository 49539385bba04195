//! Variables, vars expressions and templates: parsed once, evaluated per request.
