//! What was made once is kept: large values under a number, and answers under their questions. A state names memories
//! and plans by number, so that it is small, and quick to copy and to compare.
#![allow(
    clippy::disallowed_types,
    reason = "asked by key only, and millions of times; no order of theirs is ever seen"
)]

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, RwLock};

/// Values by number, each kept once.
pub(crate) struct Kept<T>(RwLock<Numbered<T>>);

type Numbered<T> = (HashMap<String, u32>, Vec<Arc<T>>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<T> Kept<T> {
    pub(crate) fn get(&self, no: u32) -> Arc<T> {
        self.0.read().unwrap().1[usize::try_from(no).unwrap()].clone()
    }

    pub(crate) fn keep(&self, key: String, value: T) -> u32 {
        let mut kept = self.0.write().unwrap();
        let (numbers, values) = &mut *kept;
        *numbers.entry(key).or_insert_with(|| {
            values.push(Arc::new(value));
            u32::try_from(values.len() - 1).unwrap()
        })
    }
}

/// What was worked out, by what it was worked out from.
pub(crate) struct Cache<K, V>(RwLock<HashMap<K, V>>);

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Cache<K, V> {
    pub(crate) fn get_or(&self, key: K, work: impl FnOnce(&K) -> V) -> V {
        if let Some(known) = self.0.read().unwrap().get(&key) {
            return known.clone();
        }
        let value = work(&key);
        self.0.write().unwrap().insert(key, value.clone());
        value
    }
}
