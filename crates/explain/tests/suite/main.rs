//! Answers about configurations, compiled as the gateway compiles them.

mod answers;
