use proptest::prelude::*;

use super::*;

/// Recorded from `LuaJIT` 2.1.
#[test]
fn refuses_in_the_words_of_luajit() {
    for (source, expected) in [
        (
            "aaaaaaaaaa",
            "[string \"aaaaaaaaaa\"]:1: '=' expected near '<eof>'",
        ),
        (
            "return function(vars) ",
            "[string \"return function(vars) \"]:1: 'end' expected near '<eof>'",
        ),
        (
            "x = ",
            "[string \"x = \"]:1: unexpected symbol near '<eof>'",
        ),
        (
            "x = 1 2",
            "[string \"x = 1 2\"]:1: unexpected symbol near '2'",
        ),
        (
            "f() = 1",
            "[string \"f() = 1\"]:1: unexpected symbol near '='",
        ),
        ("(a) = 1", "[string \"(a) = 1\"]:1: syntax error near '='"),
        (
            "a, f() = 1",
            "[string \"a, f() = 1\"]:1: syntax error near '='",
        ),
        ("a b", "[string \"a b\"]:1: '=' expected near 'b'"),
        (
            "if x then",
            "[string \"if x then\"]:1: 'end' expected near '<eof>'",
        ),
        (
            "if x then\n\ny()",
            "[string \"if x then...\"]:3: 'end' expected (to close 'if' at line 1) near '<eof>'",
        ),
        (
            "for i",
            "[string \"for i\"]:1: '=' or 'in' expected near '<eof>'",
        ),
        (
            "for i = 1",
            "[string \"for i = 1\"]:1: ',' expected near '<eof>'",
        ),
        (
            "for k v",
            "[string \"for k v\"]:1: '=' or 'in' expected near 'v'",
        ),
        ("break", "[string \"break\"]:1: no loop to break"),
        (
            "repeat x() end",
            "[string \"repeat x() end\"]:1: 'until' expected near 'end'",
        ),
        (
            "function f(a,) end",
            "[string \"function f(a,) end\"]:1: <name> or '...' expected near ')'",
        ),
        (
            "function f(1) end",
            "[string \"function f(1) end\"]:1: <name> or '...' expected near '1'",
        ),
        (
            "function f() return ... end",
            "[string \"function f() return ... end\"]:1: cannot use '...' outside a vararg function near '...'",
        ),
        (
            "local 1 = 2",
            "[string \"local 1 = 2\"]:1: '<name>' expected near '1'",
        ),
        (
            "do goto nowhere end",
            "[string \"do goto nowhere end\"]:1: undefined label 'nowhere'",
        ),
        (
            "::a:: ::a::",
            "[string \"::a:: ::a::\"]:1: duplicate label 'a'",
        ),
        (
            "x = {1, 2",
            "[string \"x = {1, 2\"]:1: '}' expected near '<eof>'",
        ),
        (
            "x = {\n1,\n2",
            "[string \"x = {...\"]:3: '}' expected (to close '{' at line 1) near '<eof>'",
        ),
        (
            "x = {a = }",
            "[string \"x = {a = }\"]:1: unexpected symbol near '}'",
        ),
        (
            "f(1,\n2",
            "[string \"f(1,...\"]:2: ')' expected (to close '(' at line 1) near '<eof>'",
        ),
        ("f(1", "[string \"f(1\"]:1: ')' expected near '<eof>'"),
        (
            "a:b",
            "[string \"a:b\"]:1: function arguments expected near '<eof>'",
        ),
        ("a:1", "[string \"a:1\"]:1: '<name>' expected near '1'"),
        ("a.1", "[string \"a.1\"]:1: '=' expected near '.1'"),
        ("a.b", "[string \"a.b\"]:1: '=' expected near '<eof>'"),
        ("a[1", "[string \"a[1\"]:1: ']' expected near '<eof>'"),
        (
            "x = 'abc",
            "[string \"x = 'abc\"]:1: unfinished string near '<eof>'",
        ),
        (
            "x = 'a\nb'",
            "[string \"x = 'a...\"]:1: unfinished string near ''a'",
        ),
        (
            "x = 'a\\qb'",
            "[string \"x = 'a\\qb'\"]:1: invalid escape sequence near ''a'",
        ),
        (
            "x = '\\300'",
            "[string \"x = '\\300'\"]:1: invalid escape sequence near '''",
        ),
        (
            "x = '\\x4'",
            "[string \"x = '\\x4'\"]:1: invalid escape sequence near '''",
        ),
        (
            "x = [[a\nb",
            "[string \"x = [[a...\"]:2: unfinished long string near '<eof>'",
        ),
        (
            "x = [=a",
            "[string \"x = [=a\"]:1: invalid long string delimiter near '[='",
        ),
        (
            "--[[ open",
            "[string \"--[[ open\"]:1: unfinished long comment near '<eof>'",
        ),
        (
            "x = 0x",
            "[string \"x = 0x\"]:1: malformed number near '0x'",
        ),
        (
            "x = 1e",
            "[string \"x = 1e\"]:1: malformed number near '1e'",
        ),
        (
            "x = 1.2.3",
            "[string \"x = 1.2.3\"]:1: malformed number near '1.2.3'",
        ),
        (
            "x = 12abc",
            "[string \"x = 12abc\"]:1: malformed number near '12abc'",
        ),
        ("x = @", "[string \"x = @\"]:1: unexpected symbol near '@'"),
        (
            "x = $y",
            "[string \"x = $y\"]:1: unexpected symbol near '$'",
        ),
        (
            "x = 1 +",
            "[string \"x = 1 +\"]:1: unexpected symbol near '<eof>'",
        ),
        (
            "x = not",
            "[string \"x = not\"]:1: unexpected symbol near '<eof>'",
        ),
        ("x = (1", "[string \"x = (1\"]:1: ')' expected near '<eof>'"),
        (
            "x = (\n1\n",
            "[string \"x = (...\"]:3: ')' expected (to close '(' at line 1) near '<eof>'",
        ),
        (
            "return return",
            "[string \"return return\"]:1: unexpected symbol near 'return'",
        ),
        ("end", "[string \"end\"]:1: '<eof>' expected near 'end'"),
        ("}", "[string \"}\"]:1: unexpected symbol near '}'"),
        (
            "local x <const> = 1",
            "[string \"local x <const> = 1\"]:1: unexpected symbol near '<'",
        ),
        (
            "x = \x01",
            "[string \"x = ...\"]:1: unexpected symbol near 'char(1)'",
        ),
        (
            "elseif",
            "[string \"elseif\"]:1: '<eof>' expected near 'elseif'",
        ),
        (
            "if a then else elseif b then end",
            "[string \"if a then else elseif b then end\"]:1: 'end' expected near 'elseif'",
        ),
        (
            "#!/bin/lua\nx = )",
            "[string \"#!/bin/lua...\"]:2: unexpected symbol near ')'",
        ),
        (
            "return 1; x()",
            "[string \"return 1; x()\"]:1: '<eof>' expected near 'x'",
        ),
        (
            "a.b:c.d = 1",
            "[string \"a.b:c.d = 1\"]:1: function arguments expected near '.'",
        ),
        (
            "x = 'this is a long chunk whose name does not fit into sixty bytes' +",
            "[string \"x = 'this is a long chunk whose name does not...\"]:1: unexpected symbol near '<eof>'",
        ),
        (
            "x = 'this is a chunk just about of the fitting length' )",
            "[string \"x = 'this is a chunk just about of the fittin...\"]:1: unexpected symbol near ')'",
        ),
        ("\nx = )", "[string \"...\"]:2: unexpected symbol near ')'"),
        (
            "x = function(a) if a then return end",
            "[string \"x = function(a) if a then return end\"]:1: 'end' expected near '<eof>'",
        ),
    ] {
        assert_eq!(check(source), Err(expected.to_owned()), "{source:?}");
    }
}

/// As above.
#[test]
fn takes_what_luajit_takes() {
    for source in [
        "return function(vars) return vars.arg_name == 'json' end",
        "return functional",
        "local _M = {} \n function _M.access(api_ctx) \n ngx.log(ngx.INFO,\"hit access phase\") \n end \nreturn _M",
        "",
        "return",
        "return 1, 2",
        "return {}",
        "return 'x'",
        "a.b.c = 1",
        "for i = 1, 2 do end",
        "for k, v in pairs(t) do\nprint(k)\nend",
        "while true do break end x()",
        "repeat local x until x",
        "do return 1 end",
        "function f(a, b, ...) return ... end",
        "local function f() end return f",
        "goto done ::done::",
        "x = {1, 2; a = 3, [4] = 5}",
        "f{1}",
        "f'x'",
        "a:b()",
        "a[1] = 2",
        "x = '\\065\\x41\\u{41}\\z  \n y'",
        "x = [==[ ]] ]==]",
        "-- c\nx = 1",
        "x = 0x1F + 0xA.8p1 + 1e+5 + .5 + 5. + 1LL + 2ULL + 3i",
        "x = #t - -1",
        "x = a and b or c",
        "x = a ~= b == c <= d .. e ^ f % g",
        "x = 'ä' ä = 1",
        "return function() end == 1",
        "if a then elseif b then else end",
        "local a = function() if x then return 1 end end return a",
        "x = ...",
        "return 1;",
        // With the Lua 5.2 compatibility of the reference's build.
        "while true do break x() end",
        ";;x = 1;",
        "f\n(1)",
    ] {
        assert!(check(source).is_ok(), "{source:?}: {:?}", check(source));
    }
}

#[test]
fn tells_what_is_returned() {
    for (source, expected) in [
        ("return function(vars) return true end", Returned::Function),
        ("return function() end, 1", Returned::Function),
        ("local M = {} return M", Returned::Unknown),
        ("return {a = 1}", Returned::Table),
        ("return require('a')", Returned::Unknown),
        ("return (function() end)", Returned::Unknown),
        ("return function() end == 1", Returned::Unknown),
        ("return ...", Returned::Unknown),
        ("return 1", Returned::Other("number")),
        ("return 'a'", Returned::Other("string")),
        ("return nil", Returned::Other("nil")),
        ("return", Returned::Other("nil")),
        ("x = 1", Returned::Other("nil")),
        ("", Returned::Other("nil")),
        ("if x then return {} end", Returned::Unknown),
        ("do return f() end", Returned::Unknown),
        ("local function f() return {} end", Returned::Other("nil")),
    ] {
        assert_eq!(check(source), Ok(expected), "{source}");
    }
}

#[test]
fn bounds_the_nesting() {
    let too_deep = |source: &str| {
        check(source).is_err_and(|error| error.ends_with(":1: chunk has too many syntax levels"))
    };
    assert!(too_deep(&"(".repeat(100_000)));
    assert!(too_deep(&"do ".repeat(100_000)));
    assert!(too_deep(&format!(
        "x = {}",
        "function() return ".repeat(100_000)
    )));
    assert!(too_deep(&format!("x = {}", "not ".repeat(100_000))));
    assert!(too_deep(&format!(
        "x = {}{}",
        "{".repeat(199),
        "}".repeat(199)
    )));
    assert!(check(&format!("x = {}{}", "{".repeat(198), "}".repeat(198))).is_ok());
}

proptest! {
    #[test]
    fn never_panics(source in ".{0,100}") {
        let _either = check(&source);
    }

    #[test]
    fn never_panics_on_lua_like_text(words in prop::collection::vec(
        prop::sample::select(vec![
            "function", "end", "return", "if", "then", "else", "for", "in", "do", "while", "repeat", "until", "local", "goto", "::", "break",
            "x", "1", "'s'", "[[l]]", "(", ")", "{", "}", "[", "]", "=", "==", ",", ";", ".", ":", "...", "+", "-", "not", "and", "\n", "--", "\\", "\"",
        ]),
        0..40,
    )) {
        let _either = check(&words.join(" "));
    }
}
