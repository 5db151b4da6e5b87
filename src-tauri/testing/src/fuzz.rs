//! [`Fuzz`]: parsers under mutated inputs. No coverage and no nightly compiler: a corpus, words of the format, and a generator
//! of random numbers that makes each input from the seed and the input's number alone.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::Duration;

use super::allocator::CountingAllocator;

/// Longest input, in bytes.
const LONGEST: usize = 64 << 10;

/// Most CPU time for one input.
const CPU: Duration = Duration::from_millis(50);

/// An input that took too long is parsed this many times more, and the shortest time counts: a page fault or a cold cache is
/// not the parser's.
const REPEATS: usize = 4;

/// Most memory for one input, in bytes for each of its own.
const MEMORY_RATIO: usize = 16;

/// Memory that does not depend on the input, in bytes: tables and first capacities.
const MEMORY_BASE: usize = 64 << 10;

/// Longer inputs are kept before they are parsed: one that exhausts the stack ends the process.
const DEEP: usize = 4 << 10;

/// Most mutations of one input.
const MUTATIONS: usize = 12;

/// One input in so many becomes long.
const LONG_ONE_IN: usize = 192;

/// How parsers are tried.
#[derive(Clone, Debug)]
pub struct Fuzz {
    seed: u64,
    first: u64,
    inputs: u64,
    memory_ratio: usize,
    cpu: Duration,
    folder: PathBuf,
}

impl Fuzz {
    /// `inputs` for each parser from `seed`; where one fails, it is kept in `folder`.
    pub fn new(seed: u64, inputs: u64, folder: impl Into<PathBuf>) -> Self {
        Self {
            seed,
            first: 0,
            inputs,
            memory_ratio: MEMORY_RATIO,
            cpu: CPU,
            folder: folder.into(),
        }
    }

    /// The same from the environment, where `FUZZ_SEED`, `FUZZ_INPUTS` and `FUZZ_FIRST` (the number of the first input) say
    /// otherwise.
    ///
    /// # Panics
    /// Where one of them is no number.
    #[must_use]
    pub fn or_from_environment(self) -> Self {
        let number = |name, default| {
            let text = std::env::var(name).ok();
            text.map_or(default, |text| text.parse().expect("a number"))
        };
        Self {
            seed: number("FUZZ_SEED", self.seed),
            first: number("FUZZ_FIRST", self.first),
            inputs: number("FUZZ_INPUTS", self.inputs),
            ..self
        }
    }

    /// The same, with this many bytes of memory for each byte of an input in place of 16, and this CPU time in place of 50 ms.
    #[must_use]
    pub fn with_limits(self, memory_ratio: usize, cpu: Duration) -> Self {
        Self {
            memory_ratio,
            cpu,
            ..self
        }
    }

    /// Gives `parse` the corpus, and then mutations of it. `words` are put in as they are: what the parser looks for.
    ///
    /// # Panics
    /// Where the parser panics, takes more than 50 ms of CPU time, or more memory than 16 times the input and 64 KiB. The
    /// message names the seed, the number of the input, and the file that has it.
    pub fn run(&self, parser: &str, corpus: &[&[u8]], words: &[&[u8]], parse: impl Fn(&[u8])) {
        println!("{parser}: {} inputs, FUZZ_SEED={}", self.inputs, self.seed);
        let trial = Trial {
            parser,
            fuzz: self,
            parse: &parse,
            slowest: Cell::default(),
            largest: Cell::default(),
        };
        for (number, input) in corpus.iter().enumerate() {
            trial.of(input, &format!("corpus {number}"));
        }
        for number in self.first..self.first + self.inputs {
            let mut random = Random::new(self.seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let input = mutated(corpus, words, &mut random);
            trial.of(&input, &format!("FUZZ_FIRST={number}"));
        }
        println!(
            "{parser}: at most {:?} of CPU time, and {} bytes for each of the input",
            trial.slowest.get(),
            trial.largest.get()
        );
    }
}

struct Trial<'a, P> {
    parser: &'a str,
    fuzz: &'a Fuzz,
    parse: &'a P,
    /// The most CPU time of an input.
    slowest: Cell<Duration>,
    /// The most memory of a long input, in bytes for each of its own.
    largest: Cell<usize>,
}

impl<P: Fn(&[u8])> Trial<'_, P> {
    fn of(&self, input: &[u8], which: &str) {
        let is_deep = input.len() > DEEP;
        if is_deep {
            self.keep(input);
        }
        let parsed = catch_unwind(AssertUnwindSafe(|| self.measure(input)));
        let complaint = match parsed {
            Err(_) => Some("it panicked".to_owned()),
            Ok((_, peak)) if peak > MEMORY_BASE + self.fuzz.memory_ratio * input.len() => {
                Some(format!("it took {peak} bytes"))
            }
            Ok((mut time, peak)) => {
                if time > self.fuzz.cpu {
                    let again = (0..REPEATS).map(|_| self.measure(input).0);
                    time = again.fold(time, Duration::min);
                }
                self.slowest.set(self.slowest.get().max(time));
                if is_deep {
                    self.largest.set(self.largest.get().max(peak / input.len()));
                }
                (time > self.fuzz.cpu).then(|| format!("it took {time:?} of CPU time"))
            }
        };
        if let Some(complaint) = complaint {
            let file = self.keep(input);
            let (parser, seed, length) = (self.parser, self.fuzz.seed, input.len());
            panic!(
                "{parser}: {complaint} for {length} bytes; FUZZ_SEED={seed} {which}, kept in {}",
                file.display()
            );
        }
        if is_deep {
            let _ = std::fs::remove_file(self.file());
        }
    }

    fn measure(&self, input: &[u8]) -> (Duration, usize) {
        let began = cpu_time();
        let ((), peak) = CountingAllocator::peak_of(|| (self.parse)(input));
        (cpu_time().saturating_sub(began), peak)
    }

    fn file(&self) -> PathBuf {
        self.fuzz.folder.join(format!("fuzz-{}", self.parser))
    }

    fn keep(&self, input: &[u8]) -> PathBuf {
        let file = self.file();
        std::fs::write(&file, input).expect("a folder of the build");
        file
    }
}

/// CPU time of this thread.
#[cfg(unix)]
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

#[cfg(not(unix))]
fn cpu_time() -> Duration {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed()
}

fn mutated(corpus: &[&[u8]], words: &[&[u8]], random: &mut Random) -> Vec<u8> {
    let mut input = random.one_of(corpus).to_vec();
    for _ in 0..=random.below(MUTATIONS) {
        mutate(&mut input, corpus, words, random);
        input.truncate(LONGEST);
    }
    if random.below(LONG_ONE_IN) == 0 && !input.is_empty() {
        stretch(&mut input, random);
    }
    input
}

fn mutate(input: &mut Vec<u8>, corpus: &[&[u8]], words: &[&[u8]], random: &mut Random) {
    let at = random.below(input.len() + 1);
    let end = (at + random.below(32) + 1).min(input.len());
    let piece = input[at.min(end)..end].to_vec();
    match random.below(11) {
        0 if at < input.len() => input[at] ^= 1 << random.below(8),
        1 if at < input.len() => input[at] = random.byte(),
        2 => drop(input.drain(at.min(end)..end)),
        3 => insert(input, at, &piece),
        4 => insert(input, at, &piece.repeat(random.below(64) + 1)),
        5 => input.truncate(at),
        6 => {
            let other = random.one_of(corpus);
            let from = random.below(other.len() + 1);
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
        7 => {
            let other = random.one_of(corpus);
            let from = random.below(other.len() + 1);
            let to = (from + random.below(64)).min(other.len());
            insert(input, at, &other[from..to]);
        }
        8 => replace_number(input, at, random),
        9 => {
            let bytes: Vec<u8> = (0..random.below(8)).map(|_| random.byte()).collect();
            insert(input, at, &bytes);
        }
        _ if !words.is_empty() => insert(input, at, random.one_of(words)),
        _ => {}
    }
}

/// Numbers at which counting goes wrong.
const NUMBERS: [&str; 14] = [
    "0",
    "-1",
    "00",
    "1e9",
    "1e999",
    "-0.0",
    "65536",
    "2147483648",
    "4294967296",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "18446744073709551616",
    "99999999999999999999999999999999999999999",
];

fn replace_number(input: &mut Vec<u8>, at: usize, random: &mut Random) {
    let Some(begin) = input[at..].iter().position(u8::is_ascii_digit) else {
        return;
    };
    let begin = at + begin;
    let length = input[begin..]
        .iter()
        .take_while(|byte| byte.is_ascii_digit());
    let end = begin + length.count();
    let number = random.one_of(&NUMBERS).bytes();
    input.splice(begin..end, number);
}

/// Repeats a piece of it until it is as long as an input may be: deep nesting, long lists, long texts.
fn stretch(input: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(input.len());
    let length = if random.below(2) == 0 {
        1
    } else {
        random.below(40) + 1
    };
    let end = (at + length).min(input.len());
    let piece = input[at..end].to_vec();
    let times = (LONGEST - input.len()) / piece.len();
    insert(input, at, &piece.repeat(times));
}

fn insert(input: &mut Vec<u8>, at: usize, piece: &[u8]) {
    input.splice(at..at, piece.iter().copied());
}

/// SplitMix64: each number is a mix of the one before, and all bits of it are usable.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Less than `bound`, or 0 where that is 0.
    fn below(&mut self, bound: usize) -> usize {
        let bound = bound.max(1) as u64;
        usize::try_from(self.next() % bound).unwrap_or(0)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    fn one_of<'a, T: ?Sized>(&mut self, things: &[&'a T]) -> &'a T {
        things[self.below(things.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fuzz() -> Fuzz {
        Fuzz::new(1, 2_000, std::env::temp_dir())
    }

    fn fails(parse: impl Fn(&[u8])) -> String {
        let run = catch_unwind(AssertUnwindSafe(|| {
            fuzz().run("words", &[b"{\"a\":1}"], &[b"magic"], parse);
        }));
        let failure = run.expect_err("a fault is found");
        *failure.downcast::<String>().expect("a text")
    }

    #[test]
    fn a_parser_that_panics_over_a_word_is_found_and_the_input_is_kept() {
        let is_magic = |input: &[u8]| input.windows(5).any(|window| window == b"magic");
        let complaint = fails(|input| assert!(!is_magic(input)));
        assert!(complaint.contains("it panicked"), "{complaint}");
        let (_, file) = complaint.rsplit_once(' ').expect("a file at the end");
        assert!(is_magic(&std::fs::read(file).expect("kept")));
    }

    #[test]
    fn the_same_seed_makes_the_same_inputs() {
        let inputs = || {
            let seen = std::cell::RefCell::new(Vec::new());
            fuzz().run("a parser", &[b"one", b"two"], &[], |input| {
                seen.borrow_mut().push(input.to_vec());
            });
            seen.into_inner()
        };
        assert_eq!(inputs(), inputs());
    }
}
