//! Reads lists of indices from the pickled dict in a `.npy` file, such as `cond_split.npy`.
//!
//! Runs nothing: a stack machine over the few opcodes and NumPy names that such a file needs; all
//! else is refused by name. Memory stays proportional to the file, and garbage gives an error.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};

use super::npy;
use super::pickle_numpy::{Array, Callable, Dtype};

/// A place in [`Machine::objects`]; objects are shared by it, as Python shares references.
pub(super) type Ref = usize;

/// A Python object.
#[derive(Debug, Clone)]
pub(super) enum Object {
    None,
    /// Either one: flags of an array that no index list depends on.
    Bool,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
    Tuple(Vec<Ref>),
    List(Vec<Ref>),
    Dict(Vec<(Ref, Ref)>),
    Callable(Callable),
    Dtype(Dtype),
    Array(Array),
}

/// The pickle machine.
pub(super) struct Machine<'a> {
    input: &'a [u8],
    at: usize,
    pub(super) objects: Vec<Object>,
    stack: Vec<Ref>,
    /// Heights of the stack at its marks.
    marks: Vec<usize>,
    memo: HashMap<u64, Ref>,
    /// Bytes that conversions may still make; see [`Machine::spend`].
    allowance: usize,
}

/// Longest file that is read: a million members. A byte can make an object of a hundred.
const LONGEST: u64 = 8 << 20;

/// Reads the integer lists under `keys` from a dict saved with `numpy.save`.
///
/// Values may be NumPy integer arrays of one dimension or lists of integers; pickle protocols 2
/// to 5, written by NumPy 1 or 2.
///
/// # Errors
/// The file cannot be read, is damaged, needs opcodes or names beyond those of plain arrays, or
/// has no such keys.
pub fn read_index_lists<const N: usize>(path: &Path, keys: [&str; N]) -> Result<[Vec<i64>; N]> {
    let shown = path.display();
    let length = std::fs::metadata(path).with_context(|| format!("cannot read {shown}"))?.len();
    if length > LONGEST {
        bail!("{shown} has {length} bytes: too long for lists of members");
    }
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {shown}"))?;
    index_lists(&bytes, keys).with_context(|| format!("cannot read the index lists in {shown}"))
}

fn index_lists<const N: usize>(bytes: &[u8], keys: [&str; N]) -> Result<[Vec<i64>; N]> {
    let mut machine = Machine::new(npy::object_payload(bytes)?);
    let root = machine.run()?;
    let dict = machine.dict(root)?;
    let lists: Result<Vec<_>> = keys
        .iter()
        .map(|key| {
            let list = machine.entry(dict, key)?;
            machine.integers(list).with_context(|| format!("`{key}`"))
        })
        .collect();
    lists?.try_into().map_err(|_| anyhow!("one list for each key"))
}

impl<'a> Machine<'a> {
    fn new(input: &'a [u8]) -> Self {
        Self {
            input,
            at: 0,
            objects: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            allowance: input.len(),
        }
    }

    /// Runs to the end; the result is what is left on the stack.
    fn run(&mut self) -> Result<Ref> {
        let [start, version] = self.take()?;
        if start != 0x80 || !(2..=5).contains(&version) {
            bail!("expected a pickle of protocol 2 to 5");
        }
        loop {
            let at = self.at;
            let [opcode] = self.take()?;
            if opcode == b'.' {
                return self.pop();
            }
            self.step(opcode).with_context(|| format!("pickle byte {at}"))?;
        }
    }

    fn step(&mut self, opcode: u8) -> Result<()> {
        match opcode {
            // FRAME only announces a length.
            0x95 => drop(self.take::<8>()?),
            b'(' => self.marks.push(self.stack.len()),
            b'N' => self.push(Object::None),
            0x88 | 0x89 => self.push(Object::Bool),
            b'K' | b'M' | b'J' | 0x8a => self.integer(opcode)?,
            0x8c | b'X' | 0x8d => self.text(opcode)?,
            b'C' | b'B' | 0x8e | 0x96 => self.bytes(opcode)?,
            b')' => self.push(Object::Tuple(Vec::new())),
            0x85..=0x87 => self.short_tuple(usize::from(opcode - 0x84))?,
            b't' => {
                let items = self.pop_mark()?;
                self.push(Object::Tuple(items));
            }
            b']' => self.push(Object::List(Vec::new())),
            b'}' => self.push(Object::Dict(Vec::new())),
            b'a' | b'e' | b's' | b'u' => self.fill(opcode)?,
            b'q' | b'r' | 0x94 => self.memorise(opcode)?,
            b'h' | b'j' => self.recall(opcode)?,
            b'c' | 0x93 => self.global(opcode)?,
            b'R' => self.reduce()?,
            b'b' => self.build()?,
            other => bail!("refusing to execute pickle opcode 0x{other:02x}"),
        }
        Ok(())
    }

    fn integer(&mut self, opcode: u8) -> Result<()> {
        let value = match opcode {
            b'K' => i64::from(self.take::<1>()?[0]),
            b'M' => i64::from(u16::from_le_bytes(self.take()?)),
            b'J' => i64::from(i32::from_le_bytes(self.take()?)),
            _ => {
                let [length] = self.take()?;
                let digits = self.slice(usize::from(length))?;
                signed(digits).ok_or_else(|| anyhow!("an integer of {length} bytes"))?
            }
        };
        self.push(Object::Int(value));
        Ok(())
    }

    fn text(&mut self, opcode: u8) -> Result<()> {
        let length = self.length(opcode == 0x8c, opcode == 0x8d)?;
        let text = std::str::from_utf8(self.slice(length)?).context("text that is not UTF-8")?;
        self.push(Object::Text(text.to_owned()));
        Ok(())
    }

    fn bytes(&mut self, opcode: u8) -> Result<()> {
        let length = self.length(opcode == b'C', matches!(opcode, 0x8e | 0x96))?;
        let bytes = self.slice(length)?.to_vec();
        self.push(Object::Bytes(bytes));
        Ok(())
    }

    fn short_tuple(&mut self, length: usize) -> Result<()> {
        let start = self.stack.len().checked_sub(length);
        let items = start.map(|start| self.stack.split_off(start));
        self.push(Object::Tuple(items.ok_or_else(too_short)?));
        Ok(())
    }

    /// Appends to a list or a dict: one item or all down to the mark.
    fn fill(&mut self, opcode: u8) -> Result<()> {
        let items = match opcode {
            b'a' => vec![self.pop()?],
            b's' => {
                let value = self.pop()?;
                vec![self.pop()?, value]
            }
            _ => self.pop_mark()?,
        };
        let target = *self.stack.last().ok_or_else(too_short)?;
        match (&mut self.objects[target], opcode) {
            (Object::List(list), b'a' | b'e') => list.extend(items),
            (Object::Dict(dict), b's' | b'u') => {
                let (pairs, rest) = items.as_chunks();
                if !rest.is_empty() {
                    bail!("a dict entry without a value");
                }
                dict.extend(pairs.iter().map(|&[key, value]| (key, value)));
            }
            _ => bail!("items for something that is neither list nor dict"),
        }
        Ok(())
    }

    fn memorise(&mut self, opcode: u8) -> Result<()> {
        let place = match opcode {
            b'q' => u64::from(self.take::<1>()?[0]),
            b'r' => u64::from(u32::from_le_bytes(self.take()?)),
            _ => self.memo.len() as u64,
        };
        let top = *self.stack.last().ok_or_else(too_short)?;
        self.memo.insert(place, top);
        Ok(())
    }

    fn recall(&mut self, opcode: u8) -> Result<()> {
        let place = match opcode {
            b'h' => u64::from(self.take::<1>()?[0]),
            _ => u64::from(u32::from_le_bytes(self.take()?)),
        };
        let found = self.memo.get(&place);
        self.stack.push(*found.ok_or_else(|| anyhow!("nothing was memorised as {place}"))?);
        Ok(())
    }

    fn global(&mut self, opcode: u8) -> Result<()> {
        let (module, name) = match opcode {
            b'c' => (self.line()?, self.line()?),
            _ => {
                let (name, module) = (self.pop()?, self.pop()?);
                (self.string(module)?.to_owned(), self.string(name)?.to_owned())
            }
        };
        let callable = Callable::find(&module, &name)
            .ok_or_else(|| anyhow!("refusing to use the pickle global {module}.{name}"))?;
        self.push(Object::Callable(callable));
        Ok(())
    }

    fn reduce(&mut self) -> Result<()> {
        let (arguments, callable) = (self.pop()?, self.pop()?);
        let Object::Callable(callable) = self.objects[callable] else {
            bail!("refusing to call what is no function");
        };
        let arguments = self.few(arguments)?;
        let result = self.call(callable, &arguments)?;
        self.push(result);
        Ok(())
    }

    fn build(&mut self) -> Result<()> {
        let state = self.pop()?;
        let target = *self.stack.last().ok_or_else(too_short)?;
        let state = self.few(state)?;
        self.objects[target] = self.built(target, &state)?;
        Ok(())
    }

    /// A copy of arguments or of a state. NumPy's have 9 items at most; a long tuple could be copied
    /// again and again, and that takes time.
    fn few(&self, place: Ref) -> Result<Vec<Ref>> {
        const MOST: usize = 16;
        match self.tuple(place)? {
            items if items.len() <= MOST => Ok(items.to_vec()),
            items => bail!("{} items where NumPy has few", items.len()),
        }
    }

    /// Charges for bytes that a call makes out of others, which a pickle could otherwise repeat.
    pub(super) fn spend(&mut self, bytes: usize) -> Result<()> {
        let left = self.allowance.checked_sub(bytes);
        self.allowance = left.ok_or_else(|| anyhow!("it makes more data than the file holds"))?;
        Ok(())
    }

    fn push(&mut self, object: Object) {
        self.stack.push(self.objects.len());
        self.objects.push(object);
    }

    fn pop(&mut self) -> Result<Ref> {
        self.stack.pop().ok_or_else(too_short)
    }

    fn pop_mark(&mut self) -> Result<Vec<Ref>> {
        match self.marks.pop() {
            Some(height) if height <= self.stack.len() => Ok(self.stack.split_off(height)),
            _ => Err(too_short()),
        }
    }

    fn length(&mut self, short: bool, long: bool) -> Result<usize> {
        match (short, long) {
            (true, _) => Ok(usize::from(self.take::<1>()?[0])),
            (_, true) => Ok(usize::try_from(u64::from_le_bytes(self.take()?))?),
            _ => Ok(u32::from_le_bytes(self.take()?) as usize),
        }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.slice(N)?.try_into()?)
    }

    fn slice(&mut self, length: usize) -> Result<&'a [u8]> {
        let rest = self.input.get(self.at..).unwrap_or_default();
        let taken = rest.get(..length).ok_or_else(|| anyhow!("the pickle ends too early"))?;
        self.at += length;
        Ok(taken)
    }

    fn line(&mut self) -> Result<String> {
        let rest = self.input.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|&byte| byte == b'\n');
        let line = self.slice(length.ok_or_else(|| anyhow!("a name without an end"))?)?;
        self.at += 1;
        Ok(std::str::from_utf8(line).context("a name that is not UTF-8")?.to_owned())
    }
}

fn too_short() -> anyhow::Error {
    anyhow!("the pickle takes more from its stack than is there")
}

/// A little-endian two's complement number of up to 8 bytes.
pub(super) fn signed(bytes: &[u8]) -> Option<i64> {
    let negative = bytes.last().is_some_and(|&high| high >= 0x80);
    let mut extended = [if negative { 0xff } else { 0 }; 8];
    extended.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(i64::from_le_bytes(extended))
}

#[cfg(test)]
#[path = "pickle_tests.rs"]
mod tests;
