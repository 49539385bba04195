//! Functions and blocks around a place, and the jumps and labels in them (`lj_parse.c`, `FuncScope`).

use super::Error;

/// The functions around a place, the chunk itself first.
#[derive(Default)]
pub(super) struct Scopes {
    functions: Vec<Function>,
}

#[derive(Default)]
struct Function {
    takes_varargs: bool,
    /// A `return` stands inside a block of the function.
    returns_early: bool,
    blocks: Vec<Block>,
}

#[derive(Default)]
struct Block {
    is_loop: bool,
    labels: Vec<Vec<u8>>,
    /// Jumps whose target is not found yet.
    jumps: Vec<Jump>,
}

struct Jump {
    /// Nothing for a `break`.
    label: Option<Vec<u8>>,
    line: usize,
}

impl Scopes {
    /// Begins a function and its outermost block.
    pub(super) fn enter_function(&mut self) {
        self.functions.push(Function::default());
        self.enter_block(false);
    }

    /// Ends a function. Says whether a `return` stood inside a block of it.
    ///
    /// # Errors
    /// A jump in it has no target.
    pub(super) fn leave_function(&mut self) -> Result<bool, Error> {
        self.leave_block()?;
        let function = self.functions.pop();
        Ok(function.is_some_and(|function| function.returns_early))
    }

    /// Notes that the function has `...`.
    pub(super) fn take_varargs(&mut self) {
        if let Some(function) = self.functions.last_mut() {
            function.takes_varargs = true;
        }
    }

    /// Whether the function has `...`.
    pub(super) fn takes_varargs(&self) -> bool {
        let function = self.functions.last();
        function.is_some_and(|function| function.takes_varargs)
    }

    /// Begins a block.
    pub(super) fn enter_block(&mut self, is_loop: bool) {
        if let Some(function) = self.functions.last_mut() {
            function.blocks.push(Block {
                is_loop,
                ..Block::default()
            });
        }
    }

    /// Notes that a block of the function ends with a `return`.
    pub(super) fn return_early(&mut self) {
        if let Some(function) = self.functions.last_mut() {
            function.returns_early = true;
        }
    }

    /// Ends a block: finds the targets of its jumps, and hands the others to the block around it.
    ///
    /// # Errors
    /// There is none around it.
    pub(super) fn leave_block(&mut self) -> Result<(), Error> {
        let Some(function) = self.functions.last_mut() else {
            return Ok(());
        };
        let Some(mut block) = function.blocks.pop() else {
            return Ok(());
        };
        block.jumps.retain(|jump| match &jump.label {
            Some(label) => !block.labels.contains(label),
            None => !block.is_loop,
        });
        if let Some(outer) = function.blocks.last_mut() {
            outer.jumps.append(&mut block.jumps);
            return Ok(());
        }
        let Some(jump) = block.jumps.into_iter().next() else {
            return Ok(());
        };
        let what = match jump.label {
            None => "no loop to break".to_owned(),
            Some(label) => format!("undefined label '{}'", String::from_utf8_lossy(&label)),
        };
        Err(Error {
            line: jump.line,
            what,
            near: None,
        })
    }

    /// Notes a `goto`, or a `break` where there is no label.
    pub(super) fn jump(&mut self, label: Option<Vec<u8>>, line: usize) {
        if let Some(block) = self.block() {
            block.jumps.push(Jump { label, line });
        }
    }

    /// Adds a label. Says whether it is new in the blocks around the place.
    pub(super) fn label(&mut self, label: Vec<u8>) -> bool {
        let is_known = self.functions.last().is_some_and(|function| {
            let mut blocks = function.blocks.iter();
            blocks.any(|block| block.labels.contains(&label))
        });
        if let Some(block) = self.block() {
            block.labels.push(label);
        }
        !is_known
    }

    fn block(&mut self) -> Option<&mut Block> {
        self.functions.last_mut()?.blocks.last_mut()
    }
}
