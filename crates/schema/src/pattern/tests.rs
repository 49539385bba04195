use super::*;

fn check(pattern: &str, subject: &str, expected: bool) {
    assert_eq!(
        Pattern::compile(pattern).is_match(subject),
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
