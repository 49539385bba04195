//! What fuzzers have found stays found: every file of every corpus, and mutations of them.

use std::{fs, path::PathBuf};

use lockgate_testkit::fuzz::TARGETS;

fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(target);
    let files = fs::read_dir(&folder).expect("a corpus");
    let mut inputs: Vec<_> = files
        .map(|file| file.expect("a file").path())
        .map(|path| (path.display().to_string(), fs::read(&path).expect("bytes")))
        .collect();
    inputs.sort_unstable();
    inputs
}

/// Numbers without a pattern that matters here (xorshift64*, Vigna 2016).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % limit.max(1)
    }
}

/// Changes an input in one to four places: bytes, cuts, copies, and pieces that mean something.
fn mutate(input: &mut Vec<u8>, random: &mut Random) {
    const PIECES: [&[u8]; 18] = [
        b"\r\n",
        b"\n",
        b"\r",
        b"\r\n\r\n",
        b" ",
        b"\t",
        b":",
        b"\0",
        b"0",
        b"chunked",
        b";",
        b",",
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Host: a\r\n",
        b"HTTP/1.1",
        b"%",
        b"\xff",
    ];
    for _ in 0..=random.below(4) {
        let at = random.below(input.len() + 1);
        let end = (at + random.below(12)).min(input.len());
        match random.below(5) {
            0 => drop(input.splice(at..at, PIECES[random.below(PIECES.len())].iter().copied())),
            1 => drop(input.drain(at..end)),
            2 => {
                let copy = input[at..end].to_vec();
                let to = random.below(input.len() + 1);
                drop(input.splice(to..to, copy));
            }
            3 => input.insert(at, random.below(256) as u8),
            _ => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
            }
        }
    }
}

#[test]
fn every_target_passes_on_its_corpus() {
    for target in TARGETS {
        let corpus = corpus(target.name);
        assert!(corpus.len() >= 5, "{}", target.name);
        for (_, input) in &corpus {
            (target.run)(input);
            let cuts = if target.is_cut { 256 } else { 0 };
            for cut in 0..cuts {
                let mut input = input.clone();
                if let Some(first) = input.first_mut() {
                    *first = cut as u8;
                }
                (target.run)(&input);
            }
        }
    }
}

/// The same mutations every time; fuzzers go further.
#[test]
fn every_target_passes_on_mutations_of_its_corpus() {
    let mut random = Random(1);
    for target in TARGETS {
        let corpus = corpus(target.name);
        for _ in 0..target.mutations {
            let mut input = corpus[random.below(corpus.len())].1.clone();
            mutate(&mut input, &mut random);
            let shown = input.escape_ascii().to_string();
            let passed = std::panic::catch_unwind(|| (target.run)(&input));
            assert!(passed.is_ok(), "{}: {shown}", target.name);
        }
    }
}
