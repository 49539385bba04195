//! Host trie, path radix tree and predicates: a request to its route.
