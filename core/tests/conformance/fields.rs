//! Reading a JSON object of which every field must be asked for, so that a typo cannot pass.

use std::cell::RefCell;

use serde_json::{Map, Value};

/// What every step of the runner returns: what is wrong, as a sentence.
pub type Outcome<T = ()> = Result<T, String>;

/// A JSON object, and which of its fields were asked for.
pub struct Fields<'a> {
    map: &'a Map<String, Value>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'a> Fields<'a> {
    pub fn new(value: &'a Value) -> Outcome<Self> {
        let map = value
            .as_object()
            .ok_or_else(|| format!("not an object: {value}"))?;
        let asked = RefCell::default();
        Ok(Self { map, asked })
    }

    pub fn get(&self, name: &'static str) -> Option<&'a Value> {
        self.asked.borrow_mut().push(name);
        self.map.get(name)
    }

    fn read<T>(
        &self,
        name: &'static str,
        is: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Outcome<Option<T>> {
        let value = self.get(name);
        let read = value.map(|value| read(value).ok_or_else(|| format!("{name} is no {is}")));
        read.transpose()
    }

    pub fn text(&self, name: &'static str) -> Outcome<Option<&'a str>> {
        self.read(name, "text", Value::as_str)
    }

    pub fn yes(&self, name: &'static str) -> Outcome<Option<bool>> {
        self.read(name, "boolean", Value::as_bool)
    }

    pub fn list(&self, name: &'static str) -> Outcome<Option<&'a [Value]>> {
        self.read(name, "list", |value| value.as_array().map(Vec::as_slice))
    }

    /// A list of texts; empty if it is left out.
    pub fn texts(&self, name: &'static str) -> Outcome<Vec<&'a str>> {
        let list = self.list(name)?.unwrap_or_default();
        let texts = list.iter().map(Value::as_str).collect::<Option<_>>();
        texts.ok_or_else(|| format!("{name} is no list of texts"))
    }

    pub fn number(&self, name: &'static str) -> Outcome<Option<u64>> {
        self.read(name, "number", Value::as_u64)
    }

    pub fn signed(&self, name: &'static str) -> Outcome<Option<i64>> {
        self.read(name, "number", Value::as_i64)
    }

    pub fn size(&self, name: &'static str) -> Outcome<Option<usize>> {
        let number = self.number(name)?.map(usize::try_from).transpose();
        number.map_err(|_| format!("{name} is too large"))
    }

    /// What was read from field `name`, which must be there.
    pub fn need<T>(name: &str, read: Outcome<Option<T>>) -> Outcome<T> {
        read?.ok_or_else(|| format!("field {name} is missing"))
    }

    pub fn need_text(&self, name: &'static str) -> Outcome<&'a str> {
        Self::need(name, self.text(name))
    }

    pub fn need_number(&self, name: &'static str) -> Outcome<u64> {
        Self::need(name, self.number(name))
    }

    pub fn need_list(&self, name: &'static str) -> Outcome<&'a [Value]> {
        Self::need(name, self.list(name))
    }

    /// Compares number `name`, if it is there, with what the library says.
    pub fn same_number(&self, name: &'static str, got: u64) -> Outcome {
        same(name, self.number(name)?, got)
    }

    /// Compares boolean `name`, if it is there, with what the library says.
    pub fn same_yes(&self, name: &'static str, got: bool) -> Outcome {
        same(name, self.yes(name)?, got)
    }

    /// Every field must have been asked for.
    pub fn done(&self) -> Outcome {
        let asked = self.asked.borrow();
        let unknown = self.map.keys().find(|name| !asked.contains(&name.as_str()));
        unknown.map_or(Ok(()), |name| Err(format!("unknown field {name}")))
    }
}

fn same<T: PartialEq + std::fmt::Debug>(name: &str, want: Option<T>, got: T) -> Outcome {
    match want {
        Some(want) if want != got => Err(format!("{name} is {got:?}, not {want:?}")),
        _ => Ok(()),
    }
}
