//! A strict reader of the text format 0.0.4: it refuses what `promtool check metrics` and a scrape would.

use std::collections::{BTreeMap, BTreeSet};

/// Labels by name, `le` aside.
pub type Labels = BTreeMap<String, String>;

/// What a text says.
#[derive(Debug, Default, PartialEq)]
pub struct Exposition {
    /// By their names.
    pub families: BTreeMap<String, Family>,
}

/// A family with at least one sample.
#[derive(Debug, Default, PartialEq)]
pub struct Family {
    /// What it says.
    pub help: String,
    /// Its type.
    pub kind: String,
    /// Samples by their names and labels, `le` included.
    pub samples: BTreeMap<(String, Labels), f64>,
}

impl Exposition {
    /// Reads a text.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        parse(text)
    }

    /// The sum of the samples of this name whose labels include these.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let fits = |found: &Labels| {
            labels
                .iter()
                .all(|(name, value)| found.get(*name).is_some_and(|found| found == value))
        };
        let samples = self.families.values().flat_map(|family| &family.samples);
        let found: Vec<f64> = samples
            .filter(|((found, labels), _)| found == name && fits(labels))
            .map(|(_, value)| *value)
            .collect();
        (!found.is_empty()).then(|| found.iter().sum())
    }
}

fn parse(text: &str) -> Result<Exposition, String> {
    if !text.is_empty() && !text.ends_with('\n') {
        return Err("the last line does not end".into());
    }
    let mut exposition = Exposition::default();
    let mut seen_names = BTreeSet::new();
    let mut current: Option<(String, Family)> = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            finish(&mut exposition, current.take())?;
            let (name, help) = rest.split_once(' ').ok_or("HELP without a text")?;
            check_name(name, true)?;
            if !seen_names.insert(name.to_owned()) {
                return Err(format!("{name} is there twice"));
            }
            let help = help.to_owned();
            let family = Family {
                help,
                ..Family::default()
            };
            current = Some((name.to_owned(), family));
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').ok_or("TYPE without a type")?;
            let (current, family) = current.as_mut().ok_or("TYPE without HELP")?;
            if name != current || !family.kind.is_empty() || !family.samples.is_empty() {
                return Err(format!("TYPE of {name} is out of place"));
            }
            if !["counter", "gauge", "histogram"].contains(&kind) {
                return Err(format!("type {kind}"));
            }
            kind.clone_into(&mut family.kind);
        } else {
            let (sample, labels, value) = parse_sample(line).map_err(|e| format!("{e}: {line}"))?;
            let (name, family) = current.as_mut().ok_or("a sample without HELP")?;
            let suffix = sample.strip_prefix(name.as_str());
            let is_histogram = family.kind == "histogram";
            match suffix {
                Some("") if !is_histogram && !family.kind.is_empty() => {}
                Some("_bucket" | "_count" | "_sum") if is_histogram => {}
                _ => return Err(format!("{sample} is no sample of {name}")),
            }
            if labels.contains_key("le") != (is_histogram && suffix == Some("_bucket")) {
                return Err(format!("le in {sample}"));
            }
            let may_be_negative = family.kind == "gauge" || suffix == Some("_sum");
            if !may_be_negative && (value < 0.0 || value.is_nan()) {
                return Err(format!("{sample} is {value}"));
            }
            let key = (sample.to_owned(), labels);
            if family.samples.insert(key, value).is_some() {
                return Err(format!("a series is there twice: {line}"));
            }
        }
    }
    finish(&mut exposition, current)?;
    Ok(exposition)
}

fn finish(exposition: &mut Exposition, family: Option<(String, Family)>) -> Result<(), String> {
    let Some((name, family)) = family else {
        return Ok(());
    };
    if family.samples.is_empty() {
        return Err(format!("{name} has no samples"));
    }
    if family.kind == "histogram" {
        check_histogram(&name, &family)?;
    }
    exposition.families.insert(name, family);
    Ok(())
}

/// Buckets rise, the last of them is the count, and each series has all three kinds of samples.
fn check_histogram(name: &str, family: &Family) -> Result<(), String> {
    let mut series: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
    let mut others: BTreeMap<(&str, Labels), f64> = BTreeMap::new();
    for ((sample, labels), value) in &family.samples {
        let mut labels = labels.clone();
        match labels.remove("le") {
            Some(le) => {
                let le = parse_number(&le).ok_or(format!("le={le}"))?;
                series.entry(labels).or_default().push((le, *value));
            }
            None => {
                others.insert((sample.strip_prefix(name).unwrap_or(""), labels), *value);
            }
        }
    }
    if others.len() != 2 * series.len() {
        return Err(format!("{name} has not all samples of each series"));
    }
    for (labels, mut buckets) in series {
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        if !buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1) {
            return Err(format!("buckets of {name}{labels:?} do not rise"));
        }
        let count = others.get(&("_count", labels.clone())).copied();
        if buckets.last().copied() != count.map(|count| (f64::INFINITY, count)) {
            return Err(format!(
                "{name}{labels:?} has {buckets:?}, but count {count:?}"
            ));
        }
        if !others.contains_key(&("_sum", labels.clone())) {
            return Err(format!("{name}{labels:?} has no sum"));
        }
    }
    Ok(())
}

fn check_name(name: &str, may_have_colons: bool) -> Result<(), String> {
    let is_valid = name.bytes().enumerate().all(|(at, byte)| {
        byte == b'_'
            || may_have_colons && byte == b':'
            || byte.is_ascii_alphabetic()
            || at > 0 && byte.is_ascii_digit()
    });
    if name.is_empty() || !is_valid {
        return Err(format!("the name {name:?}"));
    }
    Ok(())
}

fn parse_sample(line: &str) -> Result<(&str, Labels, f64), String> {
    let end = line.find(['{', ' ']).ok_or("no value")?;
    let (name, mut rest) = line.split_at(end);
    check_name(name, true)?;
    let mut labels = Labels::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            let (label, after) = rest.split_once("=\"").ok_or("no label")?;
            check_name(label, false)?;
            let (value, after) = parse_quoted(after)?;
            if labels.insert(label.to_owned(), value).is_some() {
                return Err(format!("label {label} is there twice"));
            }
            if let Some(after) = after.strip_prefix('}') {
                rest = after;
                break;
            }
            rest = after.strip_prefix(',').ok_or("no comma")?;
        }
    }
    let number = rest.strip_prefix(' ').ok_or("no space")?;
    let value = parse_number(number).ok_or(format!("{number} is no number"))?;
    Ok((name, labels, value))
}

/// A label value up to its quote, unescaped, and what follows the quote.
fn parse_quoted(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match characters.next() {
                Some((_, '\\')) => value.push('\\'),
                Some((_, '"')) => value.push('"'),
                Some((_, 'n')) => value.push('\n'),
                other => return Err(format!("escaped {other:?}")),
            },
            other => value.push(other),
        }
    }
    Err("no quote at the end".into())
}

fn parse_number(text: &str) -> Option<f64> {
    match text {
        "+Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        "NaN" => Some(f64::NAN),
        // Rust's own parser takes more spellings of these than Go's does.
        _ if text.contains(|c: char| !"0123456789+-.e".contains(c)) => None,
        _ => text.parse().ok(),
    }
}

#[test]
fn the_reader_refuses_what_prometheus_would() {
    let counter = "# HELP a b\n# TYPE a counter\n";
    let histogram = "# HELP h x\n# TYPE h histogram\n";
    for (text, is_valid) in [
        (format!("{counter}a 1\n"), true),
        (
            format!("{counter}a{{x=\"1\"}} 1\na{{x=\"2\"}} 1e+14\n"),
            true,
        ),
        (format!("{counter}a{{x=\"\\\\\\\"\\n\"}} 1\n"), true),
        (String::new(), true),
        (format!("{counter}a 1"), false),
        (format!("{counter}a{{x=\"1\"}} 1\na{{x=\"1\"}} 2\n"), false),
        (format!("{counter}a{{x=\"1\",x=\"1\"}} 1\n"), false),
        (format!("{counter}a -1\n"), false),
        (format!("{counter}a one\n"), false),
        (format!("{counter}a{{x=\"\\t\"}} 1\n"), false),
        (format!("{counter}a{{x=\"1\" 1\n"), false),
        (format!("{counter}a{{1=\"1\"}} 1\n"), false),
        (format!("{counter}b 1\n"), false),
        (counter.to_owned(), false),
        (format!("{counter}a 1\n{counter}a 1\n"), false),
        ("# TYPE a counter\na 1\n".to_owned(), false),
        ("# HELP a b\na 1\n".to_owned(), false),
        ("a 1\n".to_owned(), false),
        (
            format!(
                "{histogram}h_bucket{{le=\"1\"}} 1\nh_bucket{{le=\"+Inf\"}} 2\nh_count 2\nh_sum 3\n"
            ),
            true,
        ),
        (
            format!(
                "{histogram}h_bucket{{le=\"1\"}} 3\nh_bucket{{le=\"+Inf\"}} 2\nh_count 2\nh_sum 3\n"
            ),
            false,
        ),
        (
            format!(
                "{histogram}h_bucket{{le=\"1\"}} 1\nh_bucket{{le=\"+Inf\"}} 2\nh_count 3\nh_sum 3\n"
            ),
            false,
        ),
        (
            format!("{histogram}h_bucket{{le=\"1\"}} 1\nh_count 1\nh_sum 3\n"),
            false,
        ),
        (
            format!("{histogram}h_bucket{{le=\"+Inf\"}} 1\nh_count 1\n"),
            false,
        ),
        (format!("{histogram}h 1\n"), false),
    ] {
        assert_eq!(parse(&text).is_ok(), is_valid, "{text}");
    }
}
