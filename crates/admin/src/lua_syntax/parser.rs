//! Statements and expressions (`lj_parse.c`).

use std::mem;

use crate::limits::LUA_LEVELS;

use super::{
    Error, Returned,
    lexer::{Lexer, Token},
    scopes::Scopes,
};

type Parsed<T = ()> = Result<T, Error>;

const EQUALS: Token = Token::Symbol(b'=');
const COMMA: Token = Token::Symbol(b',');
const SEMICOLON: Token = Token::Symbol(b';');
const OPEN: Token = Token::Symbol(b'(');
const CLOSE: Token = Token::Symbol(b')');
const DO: Token = Token::Word("do");
const END: Token = Token::Word("end");
const LABEL: Token = Token::Word("::");

/// Reads tokens and knows what may follow.
pub(super) struct Parser<'a> {
    lexer: Lexer<'a>,
    token: Token,
    /// A token that was looked at early, with the line and text of the one before it.
    ahead: Option<Token>,
    /// Blocks and expressions around the current place.
    level: usize,
    scopes: Scopes,
}

/// What an expression is, as far as the grammar asks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Can stand left of `=`.
    Variable,
    Call,
    Function,
    Table,
    /// A constant of this type.
    Literal(&'static str),
    Other,
}

impl<'a> Parser<'a> {
    pub(super) fn new(lexer: Lexer<'a>) -> Parsed<Self> {
        let mut parser = Self {
            lexer,
            token: Token::End,
            ahead: None,
            level: 0,
            scopes: Scopes::default(),
        };
        parser.advance()?;
        Ok(parser)
    }

    /// Reads the whole chunk.
    pub(super) fn chunk(mut self) -> Parsed<Returned> {
        self.scopes.enter_function();
        self.scopes.take_varargs();
        let returned = self.statements()?;
        if self.token != Token::End {
            return Err(self.expected(Token::End));
        }
        let returns_early = self.scopes.leave_function()?;
        Ok(match returned {
            Some(Form::Function) => Returned::Function,
            Some(Form::Table) => Returned::Table,
            Some(Form::Variable | Form::Call | Form::Other) => Returned::Unknown,
            Some(Form::Literal(_)) | None if returns_early => Returned::Unknown,
            Some(Form::Literal(kind)) => Returned::Other(kind),
            None => Returned::Other("nil"),
        })
    }

    // Tokens.

    fn advance(&mut self) -> Parsed {
        self.token = match self.ahead.take() {
            Some(token) => token,
            None => self.lexer.next()?,
        };
        Ok(())
    }

    fn look_ahead(&mut self) -> Parsed<Token> {
        let token = self.lexer.next()?;
        self.ahead = Some(token);
        Ok(token)
    }

    fn takes(&mut self, token: Token) -> Parsed<bool> {
        let is_there = self.token == token;
        if is_there {
            self.advance()?;
        }
        Ok(is_there)
    }

    fn expect(&mut self, token: Token) -> Parsed {
        if self.takes(token)? {
            return Ok(());
        }
        Err(self.expected(token))
    }

    /// Expects the token that closes what `open` opened on `line`.
    fn expect_close(&mut self, close: Token, open: Token, line: usize) -> Parsed {
        if self.takes(close)? {
            return Ok(());
        }
        if line == self.lexer.line {
            return Err(self.expected(close));
        }
        let (close, open) = (close.words(), open.words());
        Err(self.error(format!(
            "'{close}' expected (to close '{open}' at line {line})"
        )))
    }

    fn expect_name(&mut self) -> Parsed<Vec<u8>> {
        if self.token != Token::Name {
            return Err(self.expected(Token::Name));
        }
        let name = mem::take(&mut self.lexer.text);
        self.advance()?;
        Ok(name)
    }

    fn expected(&self, token: Token) -> Error {
        self.error(format!("'{}' expected", token.words()))
    }

    fn error(&self, what: impl Into<String>) -> Error {
        self.lexer.error(what, Some(self.token))
    }

    fn deeper(&mut self) -> Parsed {
        self.level += 1;
        if self.level >= LUA_LEVELS {
            return Err(self.lexer.error("chunk has too many syntax levels", None));
        }
        Ok(())
    }

    // Blocks.

    /// A block inside a function; what it returns is not what the function returns for sure.
    fn block(&mut self, is_loop: bool) -> Parsed {
        self.scopes.enter_block(is_loop);
        if self.statements()?.is_some() {
            self.scopes.return_early();
        }
        self.scopes.leave_block()
    }

    /// Statements up to a word that ends a block. Gives the form of the first value of a final `return`, where there is one.
    fn statements(&mut self) -> Parsed<Option<Form>> {
        self.deeper()?;
        let mut returned = None;
        while returned.is_none() && !self.is_block_end() {
            returned = self.statement()?;
            self.takes(SEMICOLON)?;
        }
        self.level -= 1;
        Ok(returned)
    }

    fn is_block_end(&self) -> bool {
        matches!(
            self.token,
            Token::End | Token::Word("else" | "elseif" | "end" | "until")
        )
    }

    // Statements.

    /// One statement; the form of the first value where it is a `return`.
    fn statement(&mut self) -> Parsed<Option<Form>> {
        let line = self.lexer.line;
        match self.token {
            Token::Word("if") => self.if_statement(line)?,
            Token::Word("while") => {
                self.advance()?;
                self.expression()?;
                self.loop_body(Token::Word("while"), line)?;
            }
            DO => {
                self.advance()?;
                self.block(false)?;
                self.expect_close(END, DO, line)?;
            }
            Token::Word("for") => self.for_statement(line)?,
            Token::Word("repeat") => {
                self.advance()?;
                self.block(true)?;
                self.expect_close(Token::Word("until"), Token::Word("repeat"), line)?;
                self.expression()?;
            }
            Token::Word("function") => {
                self.advance()?;
                self.expect_name()?;
                while self.takes(Token::Symbol(b'.'))? {
                    self.expect_name()?;
                }
                if self.takes(Token::Symbol(b':'))? {
                    self.expect_name()?;
                }
                self.function_body(line)?;
            }
            Token::Word("local") => self.local_statement()?,
            Token::Word("return") => return self.return_statement().map(Some),
            Token::Word("break") => {
                self.advance()?;
                self.scopes.jump(None, line);
            }
            Token::Word("goto") => {
                self.advance()?;
                let label = self.expect_name()?;
                self.scopes.jump(Some(label), line);
            }
            LABEL => self.label()?,
            SEMICOLON => {}
            _ => self.call_or_assignment()?,
        }
        Ok(None)
    }

    fn loop_body(&mut self, open: Token, line: usize) -> Parsed {
        self.expect(DO)?;
        self.block(true)?;
        self.expect_close(END, open, line)
    }

    fn if_statement(&mut self, line: usize) -> Parsed {
        loop {
            self.advance()?;
            self.expression()?;
            self.expect(Token::Word("then"))?;
            self.block(false)?;
            if self.token != Token::Word("elseif") {
                break;
            }
        }
        if self.takes(Token::Word("else"))? {
            self.block(false)?;
        }
        self.expect_close(END, Token::Word("if"), line)
    }

    fn for_statement(&mut self, line: usize) -> Parsed {
        self.advance()?;
        self.expect_name()?;
        match self.token {
            EQUALS => {
                self.advance()?;
                self.expression()?;
                self.expect(COMMA)?;
                self.expression()?;
                if self.takes(COMMA)? {
                    self.expression()?;
                }
            }
            COMMA | Token::Word("in") => {
                while self.takes(COMMA)? {
                    self.expect_name()?;
                }
                self.expect(Token::Word("in"))?;
                self.expressions()?;
            }
            _ => return Err(self.error("'=' or 'in' expected")),
        }
        self.loop_body(Token::Word("for"), line)
    }

    fn local_statement(&mut self) -> Parsed {
        self.advance()?;
        if self.takes(Token::Word("function"))? {
            self.expect_name()?;
            return self.function_body(self.lexer.line);
        }
        self.expect_name()?;
        while self.takes(COMMA)? {
            self.expect_name()?;
        }
        if self.takes(EQUALS)? {
            self.expressions()?;
        }
        Ok(())
    }

    fn return_statement(&mut self) -> Parsed<Form> {
        self.advance()?;
        if self.is_block_end() || self.token == SEMICOLON {
            return Ok(Form::Literal("nil"));
        }
        self.expressions()
    }

    fn label(&mut self) -> Parsed {
        self.advance()?;
        let label = self.expect_name()?;
        let what = format!("duplicate label '{}'", String::from_utf8_lossy(&label));
        if !self.scopes.label(label) {
            return Err(self.lexer.error(what, None));
        }
        self.expect(LABEL)
    }

    fn call_or_assignment(&mut self) -> Parsed {
        let mut form = self.prefix_expression()?;
        if form == Form::Call {
            return Ok(());
        }
        loop {
            if form != Form::Variable {
                return Err(self.error("syntax error"));
            }
            if !self.takes(COMMA)? {
                break;
            }
            form = self.prefix_expression()?;
        }
        self.expect(EQUALS)?;
        self.expressions()?;
        Ok(())
    }

    // Expressions.

    /// One or more expressions; the form of the first.
    fn expressions(&mut self) -> Parsed<Form> {
        let first = self.expression()?;
        while self.takes(COMMA)? {
            self.expression()?;
        }
        Ok(first)
    }

    fn expression(&mut self) -> Parsed<Form> {
        self.operation(0)
    }

    /// Operands joined by operators that bind stronger than `limit`.
    fn operation(&mut self, limit: u8) -> Parsed<Form> {
        /// How strong a unary operator binds.
        const UNARY: u8 = 8;
        self.deeper()?;
        let mut form = match self.token {
            Token::Word("not") | Token::Symbol(b'-' | b'#') => {
                self.advance()?;
                self.operation(UNARY)?;
                Form::Other
            }
            _ => self.simple_expression()?,
        };
        while let Some((left, right)) = binary_priority(self.token)
            && left > limit
        {
            self.advance()?;
            self.operation(right)?;
            form = Form::Other;
        }
        self.level -= 1;
        Ok(form)
    }

    fn simple_expression(&mut self) -> Parsed<Form> {
        match self.token {
            Token::Number | Token::Text | Token::Word("nil" | "true" | "false") => {
                let kind = match self.token {
                    Token::Number => "number",
                    Token::Text => "string",
                    Token::Word("nil") => "nil",
                    _ => "boolean",
                };
                self.advance()?;
                Ok(Form::Literal(kind))
            }
            Token::Word("...") => {
                if !self.scopes.takes_varargs() {
                    return Err(self.error("cannot use '...' outside a vararg function"));
                }
                self.advance()?;
                Ok(Form::Other)
            }
            Token::Symbol(b'{') => {
                self.table()?;
                Ok(Form::Table)
            }
            Token::Word("function") => {
                self.advance()?;
                self.function_body(self.lexer.line)?;
                Ok(Form::Function)
            }
            _ => self.prefix_expression(),
        }
    }

    fn prefix_expression(&mut self) -> Parsed<Form> {
        let mut form = match self.token {
            OPEN => {
                let line = self.lexer.line;
                self.advance()?;
                self.expression()?;
                self.expect_close(CLOSE, OPEN, line)?;
                Form::Other
            }
            Token::Name => {
                self.advance()?;
                Form::Variable
            }
            _ => return Err(self.error("unexpected symbol")),
        };
        loop {
            form = match self.token {
                Token::Symbol(b'.') => {
                    self.advance()?;
                    self.expect_name()?;
                    Form::Variable
                }
                Token::Symbol(b'[') => {
                    self.bracket()?;
                    Form::Variable
                }
                Token::Symbol(b':') => {
                    self.advance()?;
                    self.expect_name()?;
                    self.arguments()?;
                    Form::Call
                }
                OPEN | Token::Text | Token::Symbol(b'{') => {
                    self.arguments()?;
                    Form::Call
                }
                _ => return Ok(form),
            };
        }
    }

    fn bracket(&mut self) -> Parsed {
        self.advance()?;
        self.expression()?;
        self.expect(Token::Symbol(b']'))
    }

    fn arguments(&mut self) -> Parsed {
        match self.token {
            OPEN => {
                let line = self.lexer.line;
                self.advance()?;
                if self.token != CLOSE {
                    self.expressions()?;
                }
                self.expect_close(CLOSE, OPEN, line)
            }
            Token::Symbol(b'{') => self.table(),
            Token::Text => self.advance(),
            _ => Err(self.error("function arguments expected")),
        }
    }

    fn table(&mut self) -> Parsed {
        let line = self.lexer.line;
        self.advance()?;
        while self.token != Token::Symbol(b'}') {
            if self.token == Token::Symbol(b'[') {
                self.bracket()?;
                self.expect(EQUALS)?;
            } else if self.token == Token::Name && self.look_ahead()? == EQUALS {
                self.advance()?;
                self.advance()?;
            }
            self.expression()?;
            if !self.takes(COMMA)? && !self.takes(SEMICOLON)? {
                break;
            }
        }
        self.expect_close(Token::Symbol(b'}'), Token::Symbol(b'{'), line)
    }

    fn function_body(&mut self, line: usize) -> Parsed {
        self.scopes.enter_function();
        self.parameters()?;
        self.statements()?;
        if self.token != END {
            return self.expect_close(END, Token::Word("function"), line);
        }
        self.scopes.leave_function()?;
        self.advance()
    }

    fn parameters(&mut self) -> Parsed {
        self.expect(OPEN)?;
        if self.token != CLOSE {
            loop {
                match self.token {
                    Token::Name => self.advance()?,
                    Token::Word("...") => {
                        self.advance()?;
                        self.scopes.take_varargs();
                        break;
                    }
                    _ => return Err(self.error("<name> or '...' expected")),
                }
                if !self.takes(COMMA)? {
                    break;
                }
            }
        }
        self.expect(CLOSE)
    }
}

/// How strong a binary operator binds to its left and right.
fn binary_priority(token: Token) -> Option<(u8, u8)> {
    Some(match token {
        Token::Symbol(b'+' | b'-') => (6, 6),
        Token::Symbol(b'*' | b'/' | b'%') => (7, 7),
        Token::Symbol(b'^') => (10, 9),
        Token::Word("..") => (5, 4),
        Token::Word("==" | "~=" | "<=" | ">=") | Token::Symbol(b'<' | b'>') => (3, 3),
        Token::Word("and") => (2, 2),
        Token::Word("or") => (1, 1),
        _ => return None,
    })
}
