use proptest::prelude::*;

use super::*;

fn check(pattern: &str, subject: &str, expected: bool) {
    assert_eq!(
        Pattern::compile(pattern, false).is_some_and(|it| it.is_match(subject.as_bytes())),
        expected,
        "{pattern} on {subject:?}"
    );
}

#[test]
fn finds_what_pcre_finds() {
    for (pattern, matching, other) in [
        ("^/api/v\\d+\\/x$", "/api/v12/x", "/api/v/x"),
        ("^(?!admin).*$", "user", "admin"),
        ("(a)\\1", "aa", "ab"),
        ("^[\\p{L}][\\p{L}\\p{N}_.:/-]*(?<!:)$", "user:name", "user:"),
        ("[[x]", "[", "y"),
        ("[]x]", "]", "y"),
        ("[^]x]", "y", "]"),
        ("^[ -!#-[\\]-~]+$", "a]b", "a\"b"),
        ("^[0-9a-zA-Z-.]+(:\\d{1,5})?$", "a-b.c:80", "a_b"),
        ("[a&&b]", "&", "c"),
        ("^[+--c]$", "-", "d"),
        ("^[~~a]$", "~", "b"),
        ("^[\\w-.]+$", "a-b.c", "a,b"),
        ("[[:digit:]a]", "5", "b"),
        ("^[[:^alpha:]]$", "5", "b"),
        ("^[[:x]+$", ":[x", "y"),
        ("a{b}", "a{b}", "ab"),
        ("^a{,3}$", "a{,3}", "aaa"),
        ("^a{2,}$", "aaa", "a"),
        ("\\x{41}\\x42\\103", "AB\u{43}", "ab"),
        ("^[\\101\\x{42}]+$", "AB", "C"),
        ("^\\cA$", "\u{1}", "A"),
        ("^\\Qa.b\\E.$", "a.bc", "axbc"),
        ("^a(?#comment)b$", "ab", "a"),
        ("^a++b$", "aab", "b"),
        ("(?i)^abc$", "ABC", "ABD"),
        ("(?m)^b$", "a\nb\nc", "ab"),
        ("(?<year>\\d{4})-(?P<m>\\d\\d)", "2024-01", "24-01"),
        ("^(?:a|b)$", "a", "c"),
        ("\\Aab\\Z", "ab\n", "ab\n\n"),
        ("^a\\hb\\vc$", "a b\nc", "a\nb c"),
        ("^\\N+$", "abc", "\n"),
        ("a<b\\<", "a<b<", "a<b"),
        ("^a\\b\\{", "a{", "ab"),
    ] {
        check(pattern, matching, true);
        check(pattern, other, false);
    }
}

#[test]
fn the_end_is_also_before_a_final_line_feed() {
    check("^a$", "a\n", true);
    check("^a$", "a\n\n", false);
    check("^a\\z", "a\n", false);
    check("^a(?<!b)$", "a\n", true);
}

#[test]
fn patterns_see_bytes() {
    check("^..$", "é", true);
    check("^.$", "é", false);
    check("é", "café", true);
    check("^caf[é]{2}$", "café", true);
    check("^[^/]{3}$", "€", true);
    check("^(?=.)..$", "é", true);
    check("\\d", "٣", false);
    check("\\w", "é", false);
    check("^\\xc3\\xa9$", "é", true);
    check("^\\b", "é a", false);
    check("(?i)É", "é", false);
    // 0xC3 0xA9 are the letter Ã and the sign ©.
    check("^\\p{L}\\P{L}$", "é", true);
    check("[\\p{Lu}]", "Ab", true);
    check("\\p{Greek}", "α", false);
}

#[test]
fn possessive_quantifiers_give_nothing_back() {
    check("^a++a$", "aaa", false);
    check("^a+a$", "aaa", true);
}

#[test]
fn broken_patterns_match_nothing() {
    for broken in [
        "(", "[a", "a**", "*", "[b-a]", "[a-\\d]", "^*", "a|?", "(+)", "\\b{2}", "a)", "\\",
        "(?<n", "a{2}{3}", "\\y", "[\\",
    ] {
        for subject in ["", "a", broken] {
            check(broken, subject, false);
        }
    }
}

#[test]
fn catastrophic_patterns_end() {
    check("^(?=(a+)+$)b", &"a".repeat(64), false);
    check("((a{1000}){1000}){1000}", "a", false);
    check(&"(".repeat(60_000), "a", false);
    check(&"a".repeat(65_537), &"a".repeat(65_537), false);
    check(&"(?:a".repeat(10_000), "a", false);
    check(&format!("{}(?=a)", "(?:".repeat(10_000)), "a", false);
}

#[test]
fn flags_change_how_patterns_are_read() {
    for (pattern, flags, subject, expected) in [
        ("ABC", "jo", "xabcx", false),
        ("ABC", "ijo", "xabcx", true),
        ("(?=ABC)", "i", "xabcx", true),
        ("^b$", "m", "a\nb\nc", true),
        ("^b$", "", "a\nb\nc", false),
        ("a.b", "s", "a\nb", true),
        ("a.b", "", "a\nb", false),
        ("a b # c(\n d", "x", "abd", true),
        ("[a b]#", "x", " ", true),
        ("b", "a", "ab", false),
        ("a", "a", "ab", true),
    ] {
        let found = Pattern::parse(pattern, Flags::parse(flags).unwrap())
            .unwrap()
            .is_match(subject.as_bytes());
        assert_eq!(found, expected, "{pattern} with {flags} on {subject:?}");
    }
}

#[test]
fn bytes_that_are_not_text_are_searched() {
    for pattern in ["b$", "^..b$", "(?=b)b$"] {
        let pattern = Pattern::compile(pattern, false).unwrap();
        assert!(pattern.is_match(b"\xff\xfeb"), "{pattern:?}");
    }
}

#[test]
fn says_what_is_wrong() {
    for (pattern, expected) in [
        (".+(", "missing ) in \".+(\""),
        ("a)b", "unmatched parentheses in \"a)b\" at \")b\""),
        ("*a", "nothing to repeat in \"*a\" at \"*a\""),
        ("[a", "missing terminating ] for character class in \"[a\""),
        ("a\\", "\\ at end of pattern in \"a\\\""),
        (
            "[z-a]",
            "the pattern is not supported in \"[z-a]\" at \"[z-a]\"",
        ),
    ] {
        let error = Pattern::parse(pattern, Flags::default()).unwrap_err();
        let expected = format!("pcre_compile() failed: {expected}");
        assert_eq!(error.to_string(), expected, "{pattern}");
    }
    assert_eq!(
        Flags::parse("johi").unwrap_err().to_string(),
        "unknown flag \"h\" (flags \"johi\")"
    );
}

#[test]
fn groups_are_captured() {
    for pattern in ["^/(a)(x)?/(.*)$", "^/(a)(x)?/(?=b)(.*)$"] {
        let pattern = Pattern::compile(pattern, false).unwrap();
        let found = pattern.captures(b"/a/b c").unwrap().unwrap();
        let groups: Vec<_> = (0..5).map(|group| found.get(group)).collect();
        let expected: [Option<&[u8]>; 5] = [Some(b"/a/b c"), Some(b"a"), None, Some(b"b c"), None];
        assert_eq!(groups, expected);
        assert_eq!(found.range(), 0..6);
        assert!(pattern.captures(b"b").unwrap().is_none());
    }
}

#[track_caller]
fn replaces(pattern: &str, subject: &str, with: &str, first: &str, all: &str) {
    let pattern = Pattern::compile(pattern, false).unwrap();
    let with = Replacement::parse(with).unwrap();
    let text = |bytes: Option<Vec<u8>>| String::from_utf8(bytes.unwrap_or_default()).unwrap();
    let once = pattern.replace_first(subject.as_bytes(), &with).unwrap();
    assert_eq!(text(once), first);
    let each = pattern.replace_all(subject.as_bytes(), &with).unwrap();
    assert_eq!(text(each), all);
}

#[test]
fn matches_are_replaced() {
    replaces("l+", "hello yellow", "L", "heLo yellow", "heLo yeLow");
    replaces(
        "(a)(b)?",
        "ab a",
        "<$2${1}$$$0$9>",
        "<ba$ab> a",
        "<ba$ab> <a$a>",
    );
    replaces("a*", "baac", "-", "-baac", "-b--c-");
    replaces("", "ab", "-", "-ab", "-a-b-");
    replaces("x", "ab", "-", "", "");
    replaces("^a", "aaa", "-", "-aa", "-aa");
    replaces("(?<=a)b", "abab", "c", "acab", "acac");
    replaces("é", "café é", "e", "cafe é", "cafe e");
}

#[test]
fn a_final_line_feed_is_not_taken_along() {
    replaces("o$", "foo\n", "0", "fo0\n", "fo0\n");
    replaces("\\w+\\Z", "foo\n", "0", "0\n", "0\n");
    replaces("o$", "foo", "0", "fo0", "fo0");
    replaces("$", "a\n", "!", "a!\n", "a!\n!");
}

#[test]
fn searches_that_take_too_long_say_so() {
    let pattern = Pattern::compile("^(?:(a+)\\1*)+b(?!c)", false).unwrap();
    let subject = "a".repeat(64);
    assert!(!pattern.is_match(subject.as_bytes()));
    let error = pattern.captures(subject.as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "pcre_exec() failed: -8");
}

#[test]
fn dollars_in_replacements_stand_for_groups() {
    for broken in ["$", "a$", "$a", "${", "${1", "${a}", "$`1", "$-1"] {
        assert_eq!(
            Replacement::parse(broken),
            Err(ReplacementError),
            "{broken}"
        );
    }
}

proptest! {
    #[test]
    fn any_text_compiles_or_does_not(pattern in "[a-c$^.*+?{}()\\[\\]\\\\|:=!<>0-9-]{0,12}", subject in "[a-c\n]{0,8}") {
        if let Some(pattern) = Pattern::compile(&pattern, false) {
            let found = pattern.captures(subject.as_bytes());
            if let Ok(found) = &found {
                prop_assert_eq!(found.is_some(), pattern.is_match(subject.as_bytes()));
            }
            let with = Replacement::parse("-$1-").unwrap();
            let _ = pattern.replace_all(subject.as_bytes(), &with);
        }
    }

    #[test]
    fn nothing_changes_where_matches_are_replaced_with_themselves(subject in "[a-c\n]{0,16}") {
        let pattern = Pattern::compile("a*b|c$", false).unwrap();
        let with = Replacement::parse("$0").unwrap();
        if let Some(all) = pattern.replace_all(subject.as_bytes(), &with).unwrap() {
            prop_assert_eq!(all, subject.into_bytes());
        }
    }
}
