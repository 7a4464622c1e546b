//! Reads the pickles of CIFAR's Python version: a dictionary with numbers, texts, lists of these,
//! and numpy arrays of bytes.
//!
//! Reference: the opcodes of Python's `pickletools`, protocols 2 to 4, as far as these files use
//! them. Contract: nothing is executed. The three numpy names that an array needs are known here;
//! any other is an error. All containers are in one list and refer to each other by index, so
//! memory is bounded by the size of the file, however often it refers to itself; texts and arrays
//! are slices of the file.

use std::collections::BTreeMap;

/// Maximum number of values in a pickle: far more than CIFAR's, which have four per image.
const MOST_VALUES: usize = 1 << 22;

/// Why some bytes are not such a pickle.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// Offset of the unsupported opcode.
    pub offset_bytes: usize,
    pub expected: &'static str,
    pub found: String,
}

/// Two-dimensional array of bytes, row by row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Array<'a> {
    pub rows: usize,
    pub columns: usize,
    pub bytes: &'a [u8],
}

/// The result: a dictionary.
#[derive(Debug)]
pub(super) struct Pickle<'a> {
    nodes: Vec<Node<'a>>,
    entries: Vec<(Value<'a>, Value<'a>)>,
}

#[derive(Clone, Copy, Debug)]
enum Value<'a> {
    None,
    Flag(bool),
    Whole(i64),
    /// A text or a byte string, which are the same in Python 2.
    Text(&'a [u8]),
    Global(Global),
    /// A container, by its index in the list of containers.
    Node(usize),
}

/// A name in a pickle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Global {
    /// `_reconstruct`: creates an array, which a state then fills.
    Reconstruct,
    /// `ndarray`, an argument of `_reconstruct`.
    NdArray,
    /// `dtype`: creates the element type of an array.
    Dtype,
}

#[derive(Debug)]
enum Node<'a> {
    List(Vec<Value<'a>>),
    Tuple(Vec<Value<'a>>),
    Dict(Vec<(Value<'a>, Value<'a>)>),
    Dtype(&'a [u8]),
    Array(Option<Array<'a>>),
}

impl<'a> Pickle<'a> {
    /// Reads `bytes`.
    ///
    /// # Errors
    /// If they end too early, contain another opcode or name, or are not a dictionary.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Problem> {
        let mut machine = Machine {
            bytes,
            at: 0,
            opcode_at: 0,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: BTreeMap::new(),
            nodes: Vec::new(),
            values: 0,
        };
        let root = machine.run()?;
        let Value::Node(root) = root else {
            return Err(machine.problem("a dictionary", "something else"));
        };
        match std::mem::replace(&mut machine.nodes[root], Node::List(Vec::new())) {
            Node::Dict(entries) => Ok(Self {
                nodes: machine.nodes,
                entries,
            }),
            Node::List(_) | Node::Tuple(_) | Node::Dtype(_) | Node::Array(_) => {
                Err(machine.problem("a dictionary", "something else"))
            }
        }
    }

    fn node(&self, key: &str) -> Option<&Node<'a>> {
        self.entries.iter().find_map(|(name, value)| match (name, value) {
            (Value::Text(name), Value::Node(node)) if *name == key.as_bytes() => self.nodes.get(*node),
            _ => None,
        })
    }

    /// The list of integers at `key`.
    pub(crate) fn whole_numbers(&self, key: &str) -> Option<Vec<i64>> {
        let Node::List(values) = self.node(key)? else {
            return None;
        };
        let whole = |value: &Value<'a>| match value {
            Value::Whole(number) => Some(*number),
            _ => None,
        };
        values.iter().map(whole).collect()
    }

    /// The list of texts at `key`.
    pub fn texts(&self, key: &str) -> Option<Vec<&'a [u8]>> {
        let Node::List(values) = self.node(key)? else {
            return None;
        };
        let text = |value: &Value<'a>| match value {
            Value::Text(text) => Some(*text),
            _ => None,
        };
        values.iter().map(text).collect()
    }

    /// The array of bytes at `key`.
    pub fn array(&self, key: &str) -> Option<Array<'a>> {
        match self.node(key)? {
            Node::Array(array) => *array,
            Node::List(_) | Node::Tuple(_) | Node::Dict(_) | Node::Dtype(_) => None,
        }
    }
}

/// The stack machine that runs a pickle.
struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    opcode_at: usize,
    stack: Vec<Value<'a>>,
    /// Stack heights of the marks.
    marks: Vec<usize>,
    memo: BTreeMap<u32, Value<'a>>,
    nodes: Vec<Node<'a>>,
    /// Number of values pushed so far.
    values: usize,
}

impl<'a> Machine<'a> {
    fn problem(&self, expected: &'static str, found: impl Into<String>) -> Problem {
        Problem {
            offset_bytes: self.opcode_at,
            expected,
            found: found.into(),
        }
    }

    /// Runs to the end and returns the last value.
    fn run(&mut self) -> Result<Value<'a>, Problem> {
        loop {
            self.opcode_at = self.at;
            let opcode = self.byte()?;
            if opcode == b'.' {
                return self.pop();
            }
            self.step(opcode)?;
            if self.values > MOST_VALUES {
                return Err(self.problem("at most 4,194,304 values", "more"));
            }
        }
    }

    fn step(&mut self, opcode: u8) -> Result<(), Problem> {
        match opcode {
            // Protocol and frames.
            0x80 => {
                self.take(1)?;
            }
            0x95 => {
                self.take(8)?;
            }
            // Marks and the memo.
            b'(' => {
                self.values += 1;
                self.marks.push(self.stack.len());
            }
            b'0' => {
                self.pop()?;
            }
            b'q' => {
                let place = self.byte()?.into();
                self.memorise(place)?;
            }
            b'r' => {
                let place = self.size_4()? as u32;
                self.memorise(place)?;
            }
            0x94 => self.memorise(self.memo.len() as u32)?,
            b'h' => {
                let place = self.byte()?.into();
                self.recall(place)?;
            }
            b'j' => {
                let place = self.size_4()? as u32;
                self.recall(place)?;
            }
            // Numbers and other constants.
            b'N' => self.push(Value::None),
            0x88 => self.push(Value::Flag(true)),
            0x89 => self.push(Value::Flag(false)),
            b'J' => {
                let number = self.size_4()? as u32 as i32;
                self.push(Value::Whole(number.into()));
            }
            b'K' => {
                let number = self.byte()?;
                self.push(Value::Whole(number.into()));
            }
            b'M' => {
                let number = self.little_endian(2)?;
                self.push(Value::Whole(number as i64));
            }
            // Texts and bytes, by the width of their length: one, four, eight bytes.
            b'U' | 0x8c | b'C' => self.text(1)?,
            b'T' | b'X' | b'B' => self.text(4)?,
            0x8e => self.text(8)?,
            // Containers.
            b']' => self.push_node(Node::List(Vec::new())),
            b'}' => self.push_node(Node::Dict(Vec::new())),
            b')' => self.push_node(Node::Tuple(Vec::new())),
            0x85..=0x87 => {
                let items = self.top(usize::from(opcode - 0x84))?;
                self.push_node(Node::Tuple(items));
            }
            b't' => {
                let items = self.pop_mark()?;
                self.push_node(Node::Tuple(items));
            }
            b'a' => {
                let items = self.top(1)?;
                self.extend(items)?;
            }
            b'e' | b'u' => {
                let items = self.pop_mark()?;
                self.extend(items)?;
            }
            b's' => {
                let items = self.top(2)?;
                self.extend(items)?;
            }
            // Names, calls, states.
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(module, name)?;
            }
            0x93 => match self.top(2)?[..] {
                [Value::Text(module), Value::Text(name)] => self.global(module, name)?,
                _ => return Err(self.problem("a module and a name", "something else")),
            },
            b'R' => self.call()?,
            b'b' => self.set_state()?,
            other => return Err(self.problem("an opcode of CIFAR's pickles", format!("{other:#04x}"))),
        }
        Ok(())
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Problem> {
        let bytes = self.at.checked_add(count).and_then(|end| self.bytes.get(self.at..end));
        let bytes = bytes.ok_or_else(|| self.problem("more bytes", "the end of the file"))?;
        self.at += count;
        Ok(bytes)
    }

    fn byte(&mut self) -> Result<u8, Problem> {
        Ok(self.take(1)?[0])
    }

    fn little_endian(&mut self, width: usize) -> Result<u64, Problem> {
        let bytes = self.take(width)?;
        Ok(bytes
            .iter()
            .rev()
            .fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    fn size_4(&mut self) -> Result<u64, Problem> {
        self.little_endian(4)
    }

    fn line(&mut self) -> Result<&'a [u8], Problem> {
        let rest = &self.bytes[self.at..];
        match rest.iter().position(|&byte| byte == b'\n') {
            Some(end) => Ok(&self.take(end + 1)?[..end]),
            None => Err(self.problem("a line", "the end of the file")),
        }
    }

    fn text(&mut self, width: usize) -> Result<(), Problem> {
        let length = self.little_endian(width)?;
        // A length that does not fit into `usize` exceeds the file.
        let text = self.take(usize::try_from(length).unwrap_or(usize::MAX))?;
        self.push(Value::Text(text));
        Ok(())
    }

    fn push(&mut self, value: Value<'a>) {
        self.values += 1;
        self.stack.push(value);
    }

    fn push_node(&mut self, node: Node<'a>) {
        self.push(Value::Node(self.nodes.len()));
        self.nodes.push(node);
    }

    fn pop(&mut self) -> Result<Value<'a>, Problem> {
        Ok(self.top(1)?[0])
    }

    /// Takes `count` values from the stack, which must be above the last mark.
    fn top(&mut self, count: usize) -> Result<Vec<Value<'a>>, Problem> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.len().checked_sub(count) {
            Some(rest) if rest >= floor => Ok(self.stack.split_off(rest)),
            _ => Err(self.problem("a value", "an empty stack")),
        }
    }

    fn pop_mark(&mut self) -> Result<Vec<Value<'a>>, Problem> {
        match self.marks.pop() {
            Some(floor) => Ok(self.stack.split_off(floor)),
            None => Err(self.problem("a mark", "none")),
        }
    }

    fn memorise(&mut self, place: u32) -> Result<(), Problem> {
        let value = self.pop()?;
        self.stack.push(value);
        self.memo.insert(place, value);
        Ok(())
    }

    fn recall(&mut self, place: u32) -> Result<(), Problem> {
        match self.memo.get(&place).copied() {
            Some(value) => self.push(value),
            None => return Err(self.problem("a value that was stored before", place.to_string())),
        }
        Ok(())
    }

    /// Adds items to the list, or pairs to the dictionary, on top of the stack.
    fn extend(&mut self, items: Vec<Value<'a>>) -> Result<(), Problem> {
        let container = self.pop()?;
        self.stack.push(container);
        if let Value::Node(index) = container {
            match &mut self.nodes[index] {
                Node::List(list) => {
                    list.extend(items);
                    return Ok(());
                }
                Node::Dict(entries) if items.len().is_multiple_of(2) => {
                    entries.extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1])));
                    return Ok(());
                }
                Node::Dict(_) | Node::Tuple(_) | Node::Dtype(_) | Node::Array(_) => {}
            }
        }
        Err(self.problem("a list, or a dictionary and pairs", "something else"))
    }

    fn global(&mut self, module: &[u8], name: &[u8]) -> Result<(), Problem> {
        let global = match (module, name) {
            (b"numpy.core.multiarray" | b"numpy._core.multiarray", b"_reconstruct") => Global::Reconstruct,
            (b"numpy", b"ndarray") => Global::NdArray,
            (b"numpy", b"dtype") => Global::Dtype,
            _ => {
                let found = [module, b".", name].concat();
                let found = match String::from_utf8(found) {
                    Ok(name) if !name.contains(char::is_control) => name,
                    _ => "a name that is not text".to_owned(),
                };
                return Err(self.problem("only the names of numpy's arrays", found));
            }
        };
        self.push(Value::Global(global));
        Ok(())
    }

    fn call(&mut self) -> Result<(), Problem> {
        let made = match self.top(2)?[..] {
            [Value::Global(Global::Reconstruct), Value::Node(_)] => Some(Node::Array(None)),
            [Value::Global(Global::Dtype), Value::Node(arguments)] => match &self.nodes[arguments] {
                Node::Tuple(arguments) => match arguments.first() {
                    Some(Value::Text(name)) => Some(Node::Dtype(name)),
                    _ => None,
                },
                Node::List(_) | Node::Dict(_) | Node::Dtype(_) | Node::Array(_) => None,
            },
            _ => None,
        };
        let made = made.ok_or_else(|| self.problem("a call that creates an array or its type", "something else"))?;
        self.push_node(made);
        Ok(())
    }

    /// An array's state is (version, shape, type, whether columns come first, bytes); the state of
    /// a type is not needed for bytes.
    fn set_state(&mut self) -> Result<(), Problem> {
        let [object, state] = self.top(2)?[..] else {
            return Err(self.problem("an object and its state", "something else"));
        };
        self.stack.push(object);
        let (Value::Node(object), Value::Node(state)) = (object, state) else {
            return Err(self.problem("an object and its state", "something else"));
        };
        match &self.nodes[object] {
            Node::Dtype(_) => Ok(()),
            Node::Array(_) => {
                let array = self.array(state);
                let array = array.ok_or_else(|| self.problem("a two-dimensional array of bytes", "something else"))?;
                self.nodes[object] = Node::Array(Some(array));
                Ok(())
            }
            Node::List(_) | Node::Tuple(_) | Node::Dict(_) => {
                Err(self.problem("an array or its type", "something else"))
            }
        }
    }

    /// The array with this state, if it is an array of bytes.
    fn array(&self, state: usize) -> Option<Array<'a>> {
        let tuple = |node: usize| match &self.nodes[node] {
            Node::Tuple(items) => Some(&items[..]),
            _ => None,
        };
        let &[
            Value::Whole(_),
            Value::Node(shape),
            Value::Node(element),
            Value::Flag(false),
            Value::Text(bytes),
        ] = tuple(state)?
        else {
            return None;
        };
        let &[Value::Whole(rows), Value::Whole(columns)] = tuple(shape)? else {
            return None;
        };
        let (rows, columns) = (usize::try_from(rows).ok()?, usize::try_from(columns).ok()?);
        let is_byte = matches!(&self.nodes[element], Node::Dtype(b"u1" | b"|u1"));
        let array = Array { rows, columns, bytes };
        (is_byte && rows.checked_mul(columns) == Some(bytes.len())).then_some(array)
    }
}
