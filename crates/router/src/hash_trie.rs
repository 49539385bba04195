//! A persistent map from byte strings: a trie over the bits of the key's hash.
//!
//! A clone shares everything; an edit copies the nodes from the root to the slot it changes, unless nobody else holds them
//! (P. Bagwell, "Ideal Hash Trees", 2001). Values hold their own keys.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use foldhash::fast::FixedState;
use smallvec::SmallVec;

use crate::limits::{HASH_TRIE_BITS, HASH_TRIE_INLINE};

/// A value that knows its key.
pub(crate) trait Keyed {
    fn key(&self) -> &[u8];
}

/// The map.
pub(crate) struct HashTrie<V> {
    root: Option<Arc<Node<V>>>,
}

#[derive(Clone)]
struct Node<V> {
    /// Which slots are there. Unused below the last bit of the hash, where slots are searched one by one.
    bitmap: u32,
    slots: SmallVec<[Slot<V>; HASH_TRIE_INLINE]>,
}

#[derive(Clone)]
enum Slot<V> {
    Leaf(V),
    Child(Arc<Node<V>>),
}

impl<V> Default for HashTrie<V> {
    fn default() -> Self {
        Self { root: None }
    }
}

impl<V> Clone for HashTrie<V> {
    fn clone(&self) -> Self {
        Self {
            root: self.root.clone(),
        }
    }
}

/// The hash that places keys. Its seed is fixed: keys come from the configuration, and requests only look up.
fn hash_of(key: &[u8]) -> u64 {
    let mut hasher = FixedState::default().build_hasher();
    hasher.write(key);
    hasher.finish()
}

/// The bit of a node's bitmap for a key, or nothing when the hash is used up at this depth.
fn bit_of(hash: u64, shift: u32) -> Option<u32> {
    let index = hash.checked_shr(shift)? & ((1 << HASH_TRIE_BITS) - 1);
    Some(1 << index)
}

impl<V> Node<V> {
    fn empty() -> Self {
        Self {
            bitmap: 0,
            slots: SmallVec::new(),
        }
    }

    /// Where the slot of this bit is, or would be.
    fn position(&self, bit: u32) -> usize {
        (self.bitmap & (bit - 1)).count_ones() as usize
    }
}

impl<V> HashTrie<V> {
    /// Shows every value, in no order that means anything.
    pub(crate) fn for_each<'r>(&'r self, visit: &mut impl FnMut(&'r V)) {
        let mut nodes: Vec<&Node<V>> = self.root.as_deref().into_iter().collect();
        while let Some(node) = nodes.pop() {
            for slot in &node.slots {
                match slot {
                    Slot::Leaf(value) => visit(value),
                    Slot::Child(child) => nodes.push(child),
                }
            }
        }
    }
}

impl<V: Keyed> HashTrie<V> {
    pub(crate) fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    pub(crate) fn get(&self, key: &[u8]) -> Option<&V> {
        let mut node = self.root.as_deref()?;
        let hash = hash_of(key);
        let mut shift = 0;
        while let Some(bit) = bit_of(hash, shift) {
            if node.bitmap & bit == 0 {
                return None;
            }
            match node.slots.get(node.position(bit))? {
                Slot::Leaf(value) => return (value.key() == key).then_some(value),
                Slot::Child(child) => node = child,
            }
            shift += HASH_TRIE_BITS;
        }
        node.slots.iter().find_map(|slot| match slot {
            Slot::Leaf(value) if value.key() == key => Some(value),
            _ => None,
        })
    }
}

impl<V: Keyed + Clone> HashTrie<V> {
    /// The value of a key, to be edited; its key must stay.
    pub(crate) fn get_mut(&mut self, key: &[u8]) -> Option<&mut V> {
        // Without this, a miss would copy nodes.
        self.get(key)?;
        let mut node = Arc::make_mut(self.root.as_mut()?);
        let hash = hash_of(key);
        let mut shift = 0;
        while let Some(bit) = bit_of(hash, shift) {
            let position = node.position(bit);
            match node.slots.get_mut(position)? {
                Slot::Leaf(value) => return Some(value),
                Slot::Child(child) => node = Arc::make_mut(child),
            }
            shift += HASH_TRIE_BITS;
        }
        node.slots.iter_mut().find_map(|slot| match slot {
            Slot::Leaf(value) if value.key() == key => Some(value),
            _ => None,
        })
    }

    /// Adds a value whose key is not in the map.
    pub(crate) fn insert(&mut self, value: V) {
        let hash = hash_of(value.key());
        let root = self.root.get_or_insert_with(|| Arc::new(Node::empty()));
        insert_into(Arc::make_mut(root), value, hash, 0);
    }

    /// Takes a key out, if it is there.
    pub(crate) fn remove(&mut self, key: &[u8]) {
        if self.get(key).is_none() {
            return;
        }
        if let Some(root) = &mut self.root {
            let node = Arc::make_mut(root);
            remove_from(node, key, hash_of(key), 0);
            if node.slots.is_empty() {
                self.root = None;
            }
        }
    }
}

fn insert_into<V: Keyed + Clone>(node: &mut Node<V>, value: V, hash: u64, shift: u32) {
    let Some(bit) = bit_of(hash, shift) else {
        node.slots.push(Slot::Leaf(value));
        return;
    };
    let position = node.position(bit);
    if node.bitmap & bit == 0 {
        node.bitmap |= bit;
        node.slots.insert(position, Slot::Leaf(value));
        return;
    }
    let Some(slot) = node.slots.get_mut(position) else {
        return;
    };
    let deeper = shift + HASH_TRIE_BITS;
    if let Slot::Leaf(other) = slot {
        // Two keys want this slot: both move one level down.
        let other = other.clone();
        let other_hash = hash_of(other.key());
        let mut child = Node::empty();
        insert_into(&mut child, other, other_hash, deeper);
        *slot = Slot::Child(Arc::new(child));
    }
    if let Slot::Child(child) = slot {
        insert_into(Arc::make_mut(child), value, hash, deeper);
    }
}

/// Removes a key that is there, and draws a leaf that is left alone one level up.
fn remove_from<V: Keyed + Clone>(node: &mut Node<V>, key: &[u8], hash: u64, shift: u32) {
    let Some(bit) = bit_of(hash, shift) else {
        node.slots
            .retain(|slot| !matches!(slot, Slot::Leaf(value) if value.key() == key));
        return;
    };
    let position = node.position(bit);
    match node.slots.get_mut(position) {
        Some(Slot::Child(child)) => {
            let child_node = Arc::make_mut(child);
            remove_from(child_node, key, hash, shift + HASH_TRIE_BITS);
            if let [Slot::Leaf(last)] = &*child_node.slots {
                let last = last.clone();
                if let Some(slot) = node.slots.get_mut(position) {
                    *slot = Slot::Leaf(last);
                }
            }
        }
        Some(Slot::Leaf(_)) => {
            node.bitmap &= !bit;
            node.slots.remove(position);
        }
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Pair(Vec<u8>, u32);

    impl Keyed for Pair {
        fn key(&self) -> &[u8] {
            &self.0
        }
    }

    fn key(n: u16) -> Vec<u8> {
        format!("/r/{n}").into_bytes()
    }

    proptest! {
        #[test]
        fn behaves_as_a_map_and_old_versions_stay(edits in prop::collection::vec((0_u16..300, prop::option::weighted(0.6, any::<u32>())), 0..400)) {
            let mut trie = HashTrie::<Pair>::default();
            let mut model = BTreeMap::new();
            let mut old = None;
            for (step, (n, value)) in edits.iter().enumerate() {
                if step == edits.len() / 2 {
                    old = Some((trie.clone(), model.clone()));
                }
                let key = key(*n);
                if let Some(value) = value {
                    match trie.get_mut(&key) {
                        Some(pair) => pair.1 = *value,
                        None => trie.insert(Pair(key.clone(), *value)),
                    }
                    model.insert(key, *value);
                } else {
                    trie.remove(&key);
                    model.remove(&key);
                }
            }
            for (trie, model) in old.into_iter().chain([(trie, model)]) {
                prop_assert_eq!(trie.is_empty(), model.is_empty());
                let mut all = BTreeMap::new();
                trie.for_each(&mut |pair: &Pair| {
                    all.insert(pair.0.clone(), pair.1);
                });
                prop_assert_eq!(&all, &model);
                for n in 0..300 {
                    let key = key(n);
                    prop_assert_eq!(trie.get(&key).map(|pair| pair.1), model.get(&key).copied());
                }
            }
        }
    }

    #[test]
    fn keys_with_equal_hashes_live_together() {
        let mut root = Node::empty();
        for n in 0..5 {
            insert_into(&mut root, Pair(key(n), u32::from(n)), 7, 65);
        }
        remove_from(&mut root, &key(2), 7, 65);
        assert_eq!(root.slots.len(), 4);
    }

    #[test]
    fn a_slot_is_two_words() {
        assert_eq!(size_of::<Slot<crate::bucket::Bucket<u64>>>(), 16);
    }
}
