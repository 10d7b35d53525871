//! Scripts of calls of the C ABI: right ones, whose results are compared with those of points asked
//! for one by one, and wrong ones, which must be found out before anything is touched.

mod call;
mod layout;
mod memory;
mod numbers;
mod query;
mod session;

use arbitrary::{Arbitrary, Unstructured};

use memory::Size;
use numbers::Numbers;
use query::Query;
use session::{Options, Session};

/// Calls of a script.
const LONGEST: usize = 8;

/// A model, and what is done with it.
#[derive(Debug)]
pub struct Script {
    model: u8,
    kernel: u8,
    threads: u8,
    commands: Vec<Command>,
}

#[derive(Arbitrary, Debug)]
enum Command {
    Query(Query),
    QueryMore(Query),
    Bind { slot: bool, numbers: Numbers, options: Option<Options>, other_model: bool },
    Free { slot: bool },
    Describe { what: u8, index: u8, longer: u8, wrong: Option<u8> },
    Damage { at: u16, to: u8, cut: bool },
}

impl<'a> Arbitrary<'a> for Script {
    /// As many calls as there are bytes for: a list of Arbitrary's would end after two on average.
    fn arbitrary(bytes: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let [model, kernel, threads] = bytes.arbitrary()?;
        let mut commands = Vec::new();
        while !bytes.is_empty() && commands.len() < LONGEST {
            commands.push(bytes.arbitrary()?);
        }
        Ok(Self { model, kernel, threads, commands })
    }
}

impl Script {
    /// Makes the calls.
    pub fn run(&self) {
        let mut session = Session::new(self.model, self.kernel, self.threads);
        for command in &self.commands {
            match command {
                Command::Query(query) | Command::QueryMore(query) => query.run(&mut session),
                Command::Bind { slot, numbers, options, other_model } => {
                    session.bind(*slot, numbers, options.clone(), *other_model);
                }
                Command::Free { slot } => session.free(*slot),
                Command::Describe { what, index, longer, wrong } => {
                    let wrong =
                        wrong.map(|n| Size::Wrong([0, 39, 4097, u32::MAX][usize::from(n) % 4]));
                    session.describe(*what, *index, wrong.unwrap_or(Size::Longer(longer % 40)));
                }
                Command::Damage { at, to, cut } => session.damage(*at, *to, *cut),
            }
        }
    }
}

/// The script that any bytes stand for.
pub fn run(input: &[u8]) {
    if let Ok(script) = Script::arbitrary_take_rest(Unstructured::new(input)) {
        script.run();
    }
}
