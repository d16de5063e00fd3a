# tests/hardening/mutation/cuts.py - finds the places of a header where one token can be wrong, and writes the switch in.
# SPDX-License-Identifier: MIT
"""Works on tokens, in the way in which this repository is formatted: a binary operator has white space on both sides,
and a template's angle bracket has none. Insertions never add a line, so a compiler's messages name the original line."""
import re
from dataclasses import dataclass, field

TOKENS = re.compile(r"""
    (?P<space>\s+|//[^\n]*|/\*.*?\*/) |
    (?P<directive>(?<![^\n])[ \t]*\#(?:[^\n\\]|\\.|\\\n)*) |
    (?P<text>(?:u8|[uUL])?R"(?P<fence>[^(]*)\(.*?\)(?P=fence)"\w* | (?:u8|[uUL])?"(?:[^"\\\n]|\\.)*"\w*) |
    (?P<char>'(?:[^'\\\n]|\\.[^']*)') |
    (?P<number>\d(?:[\w.]|'(?=\w))*) |
    (?P<word>[A-Za-z_]\w*) |
    (?P<mark><=>|<<=|>>=|->\*|\.\.\.|::|->|\+\+|--|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|<<|>>|.)
""", re.X | re.S)

INFIX = {"<": "less", "<=": "less_equal", ">": "greater", ">=": "greater_equal", "==": "equal", "!=": "not_equal",
         "+": "plus", "-": "minus", "*": "times", "/": "divided", "%": "modulo", "&": "bit_and", "|": "bit_or",
         "^": "bit_xor", "<<": "shift_left", ">>": "shift_right"}
INSTEAD = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "+": "-", "-": "+", "*": "/", "/": "*",
           "%": "*", "&": "|", "|": "&", "^": "|", "<<": ">>", ">>": "<<"}
ASSIGNMENTS = {"=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>="}
# How much room is reserved changes no result.
UNSEEN = {"static_assert", "decltype", "noexcept", "sizeof", "alignas", "alignof", "explicit", "asm", "reserve"}
OPENING, CLOSING = {"(", "[", "{"}, {")", "]", "}"}


@dataclass
class Token:
    kind: str
    text: str
    start: int
    end: int
    spaced: bool = False  # white space on both sides
    pair: int = -1  # index of the bracket that belongs to it
    constant: bool = False  # only the compiler evaluates it
    inside: int = -1  # index of the bracket around it
    function: bool = False  # an opening brace: of a block of statements


@dataclass
class Mutant:
    what: str  # what becomes of it
    start: int
    end: int
    insertions: list = field(default_factory=list)  # (position, rank, text); rank orders what stands at one position
    line: int = 0
    key: str = ""


def tokens_of(text):
    found, previous_end = [], 0
    for match in TOKENS.finditer(text):
        kind = match.lastgroup if match.lastgroup != "fence" else "text"
        if kind in ("space", "directive"):
            continue
        piece, start, end = match.group(kind), match.start(kind), match.end(kind)
        spaced = start > 0 and text[start - 1].isspace() and end < len(text) and text[end].isspace()
        found.append(Token(kind, piece, start, end, spaced))
    return found


class Header:
    def __init__(self, text, enums):
        self.text, self.enums = text, enums
        self.tokens = tokens_of(text)
        self.pair_brackets()
        self.mark_constants()
        self.mark_functions()
        self.mutants = []

    # --- what stands where ---

    def is_angle(self, at):
        """Whether the `<` opens template arguments."""
        token, before = self.tokens[at], self.tokens[at - 1] if at else None
        return (token.text == "<" and not token.spaced and before is not None and
                (before.kind == "word" and before.text != "operator" or before.text == "]" and before.end == token.start))

    def pair_brackets(self):
        tokens, stack, at = self.tokens, [], 0
        while at < len(tokens):
            token = tokens[at]
            token.inside = stack[-1] if stack else -1
            if token.text in OPENING and token.kind == "mark" or self.is_angle(at):
                stack.append(at)
            elif token.kind == "mark" and stack and (token.text in CLOSING or (
                    token.text in (">", ">>", ">=") and not token.spaced and tokens[stack[-1]].text == "<")):
                if token.text in (">>", ">="):  # two tokens that a template's end joins
                    tokens[at:at + 1] = [Token("mark", token.text[0], token.start, token.start + 1),
                                         Token("mark", token.text[1], token.start + 1, token.end)]
                    token = tokens[at]
                while token.text in CLOSING and stack and tokens[stack[-1]].text == "<":
                    tokens[stack.pop()].pair = -1
                opening = stack.pop() if stack else -1
                token.pair = opening
                token.inside = tokens[opening].inside
                tokens[opening].pair = at
            at += 1

    def mark_constants(self):
        tokens = self.tokens

        def constant(first, last):
            for token in tokens[first:last + 1]:
                token.constant = True

        def end_of_statement(at):
            while at < len(tokens) and tokens[at].text not in (";", "{"):
                at = tokens[at].pair + 1 if tokens[at].pair > at else at + 1
            return min(at, len(tokens) - 1)

        for at, token in enumerate(tokens):
            following = tokens[at + 1] if at + 1 < len(tokens) else token
            if token.kind == "mark" and token.text == "<" and token.pair > at:
                constant(at, token.pair)
            elif token.text == "[" and following.text == "[" and token.pair > at:
                constant(at, token.pair)
            elif token.kind != "word":
                continue
            elif token.text in UNSEEN and following.text == "(":
                constant(at, following.pair)
            elif token.text == "requires":
                last = following.pair if following.text in ("(", "{") else at
                if following.text == "(" and tokens[following.pair + 1].text == "{":
                    last = tokens[following.pair + 1].pair
                if tokens[at - 1].text != "=":  # a clause ends where the declaration begins: at the latest at its body
                    last = max(last, at)
                    while last + 1 < len(tokens) and (tokens[last + 1].text in ("&&", "||") or
                                                      tokens[last].text in ("&&", "||", "requires", "!", "::") or
                                                      tokens[last + 1].text in ("::", "<") or
                                                      tokens[last + 1].text == "(" and tokens[last].text == "requires"):
                        last = tokens[last + 1].pair if tokens[last + 1].pair > last else last + 1
                constant(at, last)
            elif token.text in ("concept", "using"):
                last = at
                while tokens[last].text != ";":
                    last = tokens[last].pair + 1 if tokens[last].pair > last else last + 1
                constant(at, last)
            elif token.text == "enum":
                last = end_of_statement(at)
                constant(at, tokens[last].pair if tokens[last].text == "{" else last)
            elif token.text == "case":
                last = at
                while tokens[last].text != ":":
                    last += 1
                constant(at, last)
            elif token.text == "if" and following.text == "constexpr":
                constant(at + 2, tokens[at + 2].pair)
            elif token.text in ("constexpr", "constinit"):
                # A variable: a name, then its value. In a function's declaration a parenthesis comes first.
                last = at
                while tokens[last].text not in ("=", "{", "(", ";"):
                    last = tokens[last].pair + 1 if tokens[last].pair > last else last + 1
                if tokens[last].text in ("=", "{") and tokens[last - 1].text not in (")", "const", "noexcept"):
                    if "operator" not in (each.text for each in tokens[at:last]):
                        while tokens[last].text != ";":
                            last = tokens[last].pair + 1 if tokens[last].pair > last else last + 1
                        constant(at, last)
            elif token.text == "consteval":
                last = end_of_statement(at)
                constant(at, tokens[last].pair if tokens[last].text == "{" else last)

    def mark_functions(self):
        tokens = self.tokens
        begin = 0  # of the statement
        for at, token in enumerate(tokens):
            if token.text == "{" and token.kind == "mark":
                before = tokens[at - 1].text if at else ""
                words = {each.text for each in tokens[begin:at] if each.inside == token.inside}
                is_type = bool(words & {"struct", "class", "union", "namespace", "enum", "concept", "extern"})
                token.function = not is_type and token.pair > at and (
                    before in {")", "]", "const", "noexcept", "override", "mutable", "else", "do", "try", "constexpr",
                               ":", ";", "{", "}", "final"} or self.ends_a_return_type(begin, at))
            if token.text in (";", "{", "}") and token.kind == "mark":
                begin = at + 1

    def ends_a_return_type(self, begin, at):
        arrow = next((i for i in range(at - 1, begin, -1) if self.tokens[i].text == "->"), -1)
        return arrow > 0 and self.tokens[arrow - 1].text in (")", "noexcept", "mutable", "const")

    # --- mutants ---

    def add(self, what, first, last, insertions):
        """Of tokens first to last."""
        start, end = self.tokens[first].start, self.tokens[last].end
        self.mutants.append(Mutant(what, start, end, insertions))

    def wrap(self, what, first, last, before, after):
        """Text around tokens; `before` may say {}, which is the mutant's number. Outer ones come first."""
        start, end = self.tokens[first].start, self.tokens[last].end
        width = end - start
        self.add(what, first, last, [(start, (1, -width), before), (end, (0, width), after)])

    def find(self):
        for at, token in enumerate(self.tokens):
            if not token.constant:
                self.of_token(at, token)
        self.of_operands()
        self.of_statements()
        self.of_calls()
        self.mutants.sort(key=lambda mutant: (mutant.start, mutant.end, mutant.what))
        self.name()
        return self.mutants

    def name(self):
        lines = self.text.split("\n")
        starts = [0]
        for line in lines:
            starts.append(starts[-1] + len(line) + 1)
        seen, row = {}, 0
        for mutant in self.mutants:
            while starts[row + 1] <= mutant.start:
                row += 1
            mutant.line = row + 1
            shown = " ".join(self.text[mutant.start:mutant.end].split())
            shown = shown if len(shown) <= 60 else shown[:57] + "..."
            key = f"{' '.join(lines[row].split())} | {shown} -> {mutant.what}"
            seen[key] = seen.get(key, 0) + 1
            mutant.key = key + (f" ({seen[key]})" if seen[key] > 1 else "")

    def of_token(self, at, token):
        tokens = self.tokens
        before = tokens[at - 1].text if at else ""
        after = tokens[at + 1].text if at + 1 < len(tokens) else ""
        if token.kind == "number":
            number = re.fullmatch(r"(0[xX][0-9A-Fa-f']+|[0-9']+)(\w*)", token.text)
            pure = before == "=" and tokens[at - 2].text in (")", "const", "noexcept", "override")
            if number and not pure:
                value = int(number[1].replace("'", ""), 0) + 1
                self.wrap(f"{value}", at, at, "(::mutants::on({}) ? " + f"{value}{number[2]} : ", ")")
        elif token.kind == "char" and "\\" not in token.text[1:2]:
            value = chr(ord(token.text[1]) + 1)
            if value.isprintable() and value not in "'\\" and value.isascii():
                self.wrap(f"'{value}'", at, at, "(::mutants::on({}) ? " + f"'{value}' : ", ")")
        elif token.kind == "char" and token.text == r"'\0'":
            self.wrap(r"'\1'", at, at, r"(::mutants::on({}) ? '\1' : ", ")")
        elif token.kind == "word" and token.text in ("true", "false") and before not in ("<", "("):
            self.wrap("false" if token.text == "true" else "true", at, at, "(::mutants::on({}) != ", ")")
        elif token.kind == "word" and token.text in ("true", "false") and before == "(" and after in (")", ","):
            self.wrap("false" if token.text == "true" else "true", at, at, "(::mutants::on({}) != ", ")")
        elif (token.kind == "word" and token.text in self.enums and after == "::" and
              at + 3 < len(tokens) and tokens[at + 3].text not in ("(", "::", "{", "<") and
              tokens[at + 2].kind == "word" and tokens[at - 1].text != "enum"):
            first = at
            while tokens[first - 1].text == "::" and tokens[first - 2].kind == "word" and not tokens[first - 2].constant:
                first -= 2
            if tokens[first - 1].text in ("return", "(", ",", "=", "==", "!=", "?", ":", "{", "|", "&") and not (
                    tokens[first - 1].text == ":" and tokens[at + 3].text == ":"):
                self.wrap("another enumerator", first, at + 2, "::mutants::other({}, ", ")")
        elif token.kind == "mark" and token.text in INFIX and token.spaced and before != "operator" and token.pair == -1:
            if before in (",", "(", "return", "=", "{", "...") or after in (")", ",", "...", "noexcept"):
                return
            if token.text in ("*", "&") and self.is_declarator(at):
                return
            self.add(INSTEAD[token.text], at, at,
                     [(token.end, (0, 0), f" ::mutants::{INFIX[token.text]}{{{{}}}} {token.text}")])

    def is_declarator(self, at):
        return self.tokens[at - 1].text in ("const", "auto") or self.tokens[at - 1].text == ">"

    def segments(self):
        """(first, last) of each piece of an expression that no comma, assignment or bracket divides."""
        tokens, pieces, stack, begin = self.tokens, [], [], 0

        def close(last):
            if last >= begin:
                pieces.append((begin, last))

        for at, token in enumerate(tokens):
            if token.kind == "mark" and (token.text in OPENING or token.text == "<" and token.pair > at):
                if token.text == "{" and token.function:
                    close(at - 1)
                stack.append(begin)
                begin = at + 1
            elif token.kind == "mark" and token.pair != -1 and token.pair < at:
                close(at - 1)
                begin = stack.pop() if stack else at + 1
                if token.text == "}" and tokens[token.pair].function and not self.continues(at):
                    begin = at + 1
            elif token.kind == "mark" and (token.text in (",", ";", "?", ":") or token.text in ASSIGNMENTS):
                close(at - 1)
                begin = at + 1
            elif token.kind == "word" and token.text in ("return", "co_return", "co_await", "co_yield", "else", "do", "case",
                                                         "goto"):
                begin = at + 1
        return pieces

    def continues(self, at):
        """Whether an expression goes on behind a block: behind a lambda's."""
        return self.tokens[at + 1].text in ("(", ")", ",", ";", ".", "}") if at + 1 < len(self.tokens) else False

    def top_level(self, first, last):
        at = first
        while at <= last:
            yield at
            at = self.tokens[at].pair + 1 if self.tokens[at].pair > at else at + 1

    def of_operands(self):
        tokens = self.tokens
        for first, last in self.segments():
            # A statement's start, as in `if (a) b && c;`, is no operand.
            while first <= last and tokens[first].text in ("if", "while", "for", "switch") and tokens[first + 1].text == "(":
                first = tokens[first + 1].pair + 1
            if first > last or any(tokens[at].constant for at in range(first, last + 1)):
                if first > last or not any(tokens[at].text in ("&&", "||") and not tokens[at].constant
                                           for at in self.top_level(first, last)):
                    continue
            splits = [at for at in self.top_level(first, last)
                      if tokens[at].text in ("&&", "||") and tokens[at].spaced and not tokens[at].constant and
                      tokens[at + 1].text not in ("...", "noexcept", "{", ";", "=", "const", "requires")]
            for word, neutral in (("||", "false"), ("&&", "true")):
                for low, high in self.pieces(first, last, splits, word):
                    before, after = (("(!::mutants::on({}) && (", "))") if word == "||" else ("(::mutants::on({}) || (", "))"))
                    self.wrap(neutral, low, high, before, after)
        for at, token in enumerate(tokens):
            if token.text == "!" and not token.constant:
                last = self.end_of_unary(at + 1)
                if last > at:
                    self.wrap("without !", at, last, "(::mutants::on({}) != ", ")")
            elif token.text in ("if", "while") and not token.constant and tokens[at + 1].text == "(":
                first, last = at + 2, tokens[at + 1].pair - 1
                inner = [tokens[each].text for each in self.top_level(first, last)]
                if last >= first and not set(inner) & (ASSIGNMENTS | set(INFIX) - {"*", "&", "<"} | {"&&", "||", "!", ";"}):
                    if inner != ["true"] and inner[-1] != "}" and "<" not in [tokens[i].text for i in self.top_level(
                            first, last) if tokens[i].spaced]:
                        self.wrap("negated", first, last, "::mutants::flipped({}, ", ")")
            elif token.text == "?" and not token.constant and token.kind == "mark":
                first = at
                while tokens[first - 1].pair != -1 and tokens[first - 1].pair < first - 1 or (
                        tokens[first - 1].kind == "word" and tokens[first - 1].text not in ("return", "co_return") or
                        tokens[first - 1].text in ("::", ".", "->") or
                        tokens[first - 1].text == "*" and not tokens[first - 1].spaced):
                    first = tokens[first - 1].pair if tokens[first - 1].pair != -1 else first - 1
                if tokens[first - 1].text in ("(", ",", "=", "return", "co_return", "?", ":", "{", "<<"):
                    self.wrap("negated", first, at - 1, "::mutants::flipped({}, ", ")")

    def pieces(self, first, last, splits, word):
        """The operands of each chain of `word` within the segment; a chain of && ends at ||."""
        if word == "||":
            at = [each for each in splits if self.tokens[each].text == "||"]
            groups = [(first, last, at)]
        else:
            ors = [each for each in splits if self.tokens[each].text == "||"]
            bounds = [first - 1] + ors + [last + 1]
            groups = [(low + 1, high - 1, [each for each in splits if low < each < high]) for low, high in
                      zip(bounds, bounds[1:])]
        for low, high, cuts in groups:
            if not cuts:
                continue
            edges = [low - 1] + cuts + [high + 1]
            yield from ((left + 1, right - 1) for left, right in zip(edges, edges[1:]))

    def end_of_unary(self, at):
        tokens = self.tokens
        while tokens[at].text in ("*", "&", "!"):
            at += 1
        if tokens[at].text == "::":
            at += 1
        if tokens[at].kind != "word" and tokens[at].text != "(":
            return -1
        while True:
            at = tokens[at].pair if tokens[at].pair > at else at
            following = tokens[at + 1]
            if following.text in ("(", "[") or following.text == "<" and following.pair > at or \
                    following.text == "{" and tokens[at].text == ">":
                at = at + 1
            elif following.text in (".", "->", "::"):
                at = at + 2
                if tokens[at].text == "template":
                    at += 1
            else:
                return at

    def of_statements(self):
        """Statements that can be left out: calls, assignments, steps, jumps."""
        tokens = self.tokens
        for at, token in enumerate(tokens):
            before = tokens[at - 1] if at else None
            if before is None or token.constant or token.inside == -1 or not tokens[token.inside].function:
                continue
            head = before.text == ")" and before.pair > 0 and (
                tokens[before.pair - 1].text in ("if", "while", "for") or
                tokens[before.pair - 1].text == "constexpr" and tokens[before.pair - 2].text == "if")
            if not (before.text in (";", "{", "}", "else") or head or before.text == "]" and tokens[before.pair].constant):
                continue
            if before.text == "}" and not tokens[before.pair].function:
                continue
            last = at
            while tokens[last].text not in (";", "}") and not tokens[last].function:
                last = tokens[last].pair + 1 if tokens[last].pair > last else last + 1
            if tokens[last].text != ";" or not self.is_droppable(at, last - 1):
                continue
            self.add("left out", at, last, [(token.start, (1, -10 ** 9), "if (::mutants::on({})) {} else ")])

    def is_droppable(self, first, last):
        tokens = self.tokens
        if first == last:
            return tokens[first].text in ("break", "continue", "return")
        if tokens[first].text == "co_await":
            first += 1
        top = list(self.top_level(first, last))
        if tokens[first].text in ("++", "--") or tokens[last].text in ("++", "--"):
            return all(tokens[at].kind == "word" or tokens[at].text in ("++", "--", ".", "->", "(", "[") for at in top)
        equals = [at for at in top if tokens[at].text in ASSIGNMENTS]
        chain = [at for at in top if not equals or at < equals[0]]
        if any(tokens[at].text.startswith("explain_") or tokens[at].text == "reserve" for at in chain):
            return False  # static_asserts, which are for the compiler alone; room that would be found later
        start = 0
        while start < len(chain) and tokens[chain[start]].text == "*":
            start += 1
        if start == len(chain) or tokens[chain[start]].kind != "word" or tokens[chain[start]].text in (
                "else", "return", "co_return", "throw", "delete", "using", "goto", "case", "typename", "new", "static_assert", "if",
                "for", "while", "switch", "do"):
            return False
        for each, following in zip(chain[start:], chain[start + 1:] + [None]):
            if (tokens[each].kind == "word" or tokens[each].text == "<") and following is not None and (
                    tokens[following].kind == "word"):
                return False  # a declaration
            if tokens[each].kind == "mark" and tokens[each].text not in ("(", "[", "<", ".", "->", "::", "{"):
                return False
        closing = tokens[last].text
        return bool(equals) and tokens[equals[0]].spaced or closing == ")" and not equals

    def of_calls(self):
        """Two arguments that stand side by side, each a name."""
        tokens = self.tokens

        def name_ending(at, stop):
            return all(tokens[i].kind == "word" and tokens[i].text not in ("this", "nullptr", "true", "false") or
                       tokens[i].text in (".", "->") for i in range(at, stop + 1))

        for at, token in enumerate(tokens):
            if token.text != "(" or token.constant or token.pair < at or not self.within_function(at):
                continue
            called = tokens[at - 1]
            if not (called.kind == "word" and called.text not in ("if", "while", "for", "switch", "return", "catch",
                                                                  "operator") or called.text == ">"):
                continue
            edges = [at] + [each for each in self.top_level(at + 1, token.pair - 1) if tokens[each].text == ","] + [token.pair]
            arguments = [(left + 1, right - 1) for left, right in zip(edges, edges[1:])]
            for one, two in zip(arguments, arguments[1:]):
                if one[0] <= one[1] and two[0] <= two[1] and name_ending(*one) and name_ending(*two):
                    first = self.text[tokens[one[0]].start:tokens[one[1]].end]
                    second = self.text[tokens[two[0]].start:tokens[two[1]].end]
                    if first == second or not self.follows_name(one) or not self.follows_name(two):
                        continue
                    self.add("swapped", one[0], two[1], [
                        (tokens[one[0]].start, (1, -1), "::mutants::either({}, "),
                        (tokens[one[1]].end, (0, 1), f", {second})"),
                        (tokens[two[0]].start, (1, -1), "::mutants::either({}, "),
                        (tokens[two[1]].end, (0, 1), f", {first})")])

    def follows_name(self, argument):
        """Whether it is one name with members, and no declaration of a parameter."""
        words = [self.tokens[i].kind == "word" for i in range(argument[0], argument[1] + 1)]
        return all(one != two for one, two in zip(words, words[1:]))

    def within_function(self, at):
        while at != -1:
            at = self.tokens[at].inside
            if at != -1 and self.tokens[at].function:
                return True
        return False


def written(text, mutants):
    """The text with the switches of these (number, mutant) in it."""
    pieces = [(at, rank, order, what.replace("{}", str(number), 1))
              for order, (number, mutant) in enumerate(mutants) for at, rank, what in mutant.insertions]
    pieces.sort(key=lambda piece: piece[:3])
    result, done = [], 0
    for at, _, _, what in pieces:
        result += [text[done:at], what]
        done = at
    return "".join(result + [text[done:]])
