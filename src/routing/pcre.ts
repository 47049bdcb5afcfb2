/** A PCRE as JavaScript can run it. */
export type Pattern = {
  readonly regexp: RegExp;
  /**
   * PCRE's number of a group is this array's index, JavaScript's number is the value. Null: they are the same. They
   * differ where an atomic group needs a group of its own.
   */
  readonly numbers: readonly number[] | null;
};

/**
 * Translates a PCRE. What JavaScript has no means for (recursion, conditions, verbs, `\K`, `\G`, branch reset) is
 * refused: a pattern that means something else would serve to everyone what is meant for some.
 * @throws Error saying what is not understood, and where
 */
export function translatePcre(source: string, caseSensitive: boolean): Pattern {
  const reader: Reader = { source, at: 0, pieces: [], frames: [newFrame(0)], captures: 0, unicode: false };
  while (reader.at < source.length) step(reader);
  if (reader.frames.length > 1) throw new Error("a group is not closed");
  closeFlags(reader);
  const { text, numbers } = assemble(reader);
  return { regexp: new RegExp(text, (caseSensitive ? "" : "i") + (reader.unicode ? "u" : "")), numbers };
}

/** Text, or a capturing group's opening, or a reference to one; numbers are given once all groups are known. */
type Piece =
  | string
  | { readonly open: number | "atomic" }
  | { readonly refer: number }
  | { readonly same: Piece };

type Frame = {
  /** Where the group begins in `pieces`: the atom that a quantifier after the group is about. */
  readonly start: number;
  /** `(?i)` opens a group of JavaScript's, which is closed at the end of the branch and opened again in the next. */
  flags: string[];
  extended: boolean;
  /** What closes the group: `)` and, for an atomic one, more. */
  readonly atomic: Piece | null;
};

type Reader = {
  readonly source: string;
  at: number;
  readonly pieces: Piece[];
  readonly frames: Frame[];
  captures: number;
  unicode: boolean;
};

const newFrame = (start: number, outer?: Frame, atomic: Piece | null = null): Frame => ({
  start,
  flags: [],
  extended: outer?.extended ?? false,
  atomic,
});

const top = (reader: Reader): Frame => reader.frames.at(-1) as Frame;

function step(reader: Reader): void {
  const char = reader.source[reader.at] as string;
  if (top(reader).extended && /[\s#]/.test(char)) skipExtended(reader, char);
  else if (char === "(") openGroup(reader);
  else if (char === ")") closeGroup(reader);
  else if (char === "|") nextBranch(reader);
  else readAtom(reader, char);
}

function readAtom(reader: Reader, char: string): void {
  const start = reader.pieces.length;
  if (char === "[") readClass(reader);
  else if (char === "\\") readEscape(reader);
  else {
    reader.pieces.push(/[{}\]]/.test(char) ? `\\${char}` : char);
    reader.at += 1;
  }
  if (char !== "^" && char !== "$") readQuantifier(reader, start);
}

function skipExtended(reader: Reader, char: string): void {
  const end = char === "#" ? reader.source.indexOf("\n", reader.at) : reader.at;
  reader.at = end === -1 ? reader.source.length : end + 1;
}

function openGroup(reader: Reader): void {
  const rest = reader.source.slice(reader.at);
  const comment = /^\(\?#[^)]*\)/.exec(rest);
  const flags = /^\(\?([a-zA-Z]*)(?:-([a-zA-Z]*))?([:)])/.exec(rest);
  const same = /^\(\?P=(\w+)\)/.exec(rest);
  if (comment) {
    reader.at += comment[0].length;
  } else if (flags && flags[0] !== "(?)") {
    openFlags(reader, flags);
  } else if (same) {
    reader.pieces.push(`\\k<${same[1]}>`);
    reader.at += same[0].length;
    readQuantifier(reader, reader.pieces.length - 1);
  } else {
    openCapture(reader, rest);
  }
}

function openCapture(reader: Reader, rest: string): void {
  const start = reader.pieces.length;
  const named = /^\(\?(?:P?<([A-Za-z_]\w*)>|'([A-Za-z_]\w*)')/.exec(rest);
  const plain = /^\((?:\?(?:[=!]|<[=!]))/.exec(rest)?.[0];
  let atomic: Piece | null = null;
  if (named) {
    reader.pieces.push({ open: ++reader.captures }, `?<${named[1] ?? named[2]}>`);
    reader.at += named[0].length;
  } else if (plain) {
    reader.pieces.push(plain);
    reader.at += plain.length;
  } else if (rest.startsWith("(?>")) {
    atomic = { open: "atomic" };
    reader.pieces.push("(?:(?=", atomic);
    reader.at += 3;
  } else if (/^\([?*]/.test(rest)) {
    throw new Error(`${rest.slice(0, 4)} is not understood at ${reader.at}`);
  } else {
    reader.pieces.push({ open: ++reader.captures });
    reader.at += 1;
  }
  reader.frames.push(newFrame(start, top(reader), atomic));
}

function openFlags(reader: Reader, [whole, on = "", off = "", end]: RegExpExecArray): void {
  if (/[^imsx]/.test(on + off)) throw new Error(`the flags of ${whole} are not understood at ${reader.at}`);
  const start = reader.pieces.length;
  reader.at += whole.length;
  const plain = (flags: string) => flags.replaceAll("x", "");
  const minus = plain(off) === "" ? "" : `-${plain(off)}`;
  const opening = `(?${plain(on)}${minus}:`;
  if (end === ":") {
    reader.frames.push(newFrame(start, top(reader)));
    reader.pieces.push(opening);
  } else if (plain(on + off) !== "") {
    top(reader).flags.push(opening);
    reader.pieces.push(opening);
  }
  if (on.includes("x")) top(reader).extended = true;
  if (off.includes("x")) top(reader).extended = false;
}

function closeFlags(reader: Reader): void {
  for (const _ of top(reader).flags) reader.pieces.push(")");
}

function nextBranch(reader: Reader): void {
  closeFlags(reader);
  reader.pieces.push("|", ...top(reader).flags);
  reader.at += 1;
}

function closeGroup(reader: Reader): void {
  if (reader.frames.length === 1) throw new Error(`a ")" too many at ${reader.at}`);
  closeFlags(reader);
  const frame = reader.frames.pop() as Frame;
  reader.pieces.push(")");
  if (frame.atomic !== null) reader.pieces.push(")", { same: frame.atomic }, ")");
  reader.at += 1;
  readQuantifier(reader, frame.start);
}

const QUANTIFIER = /^(?:[*+?]|\{\d+(?:,\d*)?\})([+?]?)/;

/** @param start where the quantified atom begins in `pieces` */
function readQuantifier(reader: Reader, start: number): void {
  const found = QUANTIFIER.exec(reader.source.slice(reader.at));
  if (!found || start === reader.pieces.length) return;
  reader.at += found[0].length;
  if (found[1] !== "+") return void reader.pieces.push(found[0]);
  // Possessive: what it took is not given back. A lookahead does not give back either.
  const opening: Piece = { open: "atomic" };
  const atom = reader.pieces.splice(start);
  reader.pieces.push("(?:(?=", opening, ...atom, `${found[0].slice(0, -1)}))`, { same: opening }, ")");
}

// PCRE's names, as ranges of a class.
const HORIZONTAL = "\\t \\u00a0\\u1680\\u180e\\u2000-\\u200a\\u202f\\u205f\\u3000";
const VERTICAL = "\\n\\u000b\\f\\r\\u0085\\u2028\\u2029";
const SHORT: Readonly<Record<string, string>> = { h: HORIZONTAL, v: VERTICAL };
const NOT_SHORT: Readonly<Record<string, string>> = { H: HORIZONTAL, V: VERTICAL, N: "\\n" };
const POSITIONS: Readonly<Record<string, string>> = {
  A: "(?<![^])",
  z: "(?![^])",
  Z: "(?=\\n?(?![^]))",
  R: "(?:\\r\\n|[\\n\\u000b\\f\\r\\u0085\\u2028\\u2029])",
  b: "\\b",
  B: "\\B",
};

function readEscape(reader: Reader): void {
  const rest = reader.source.slice(reader.at);
  const char = rest[1];
  if (char === undefined) throw new Error("a backslash at the end escapes nothing");
  const back = /^\\(?:([1-9]\d?)|g(-?[1-9]\d?)|g\{(-?[1-9]\d?)\})/.exec(rest);
  const name = /^\\(?:k<(\w+)>|k'(\w+)'|k\{(\w+)\}|g\{([A-Za-z_]\w*)\})/.exec(rest);
  if (char === "Q") {
    readLiteral(reader, rest);
  } else if (char === "E") {
    reader.at += 2;
  } else if (back) {
    const number = Number(back[1] ?? back[2] ?? back[3]);
    reader.pieces.push({ refer: number < 0 ? reader.captures + 1 + number : number });
    reader.at += back[0].length;
  } else if (name) {
    reader.pieces.push(`\\k<${name[1] ?? name[2] ?? name[3] ?? name[4]}>`);
    reader.at += name[0].length;
  } else if (POSITIONS[char] !== undefined) {
    reader.pieces.push(POSITIONS[char]);
    reader.at += 2;
  } else if (NOT_SHORT[char] !== undefined) {
    reader.pieces.push(`[^${NOT_SHORT[char]}]`);
    reader.at += 2;
  } else {
    const one = readCharacter(reader);
    reader.pieces.push(SHORT[char] === undefined ? one : `[${one}]`);
  }
}

function readLiteral(reader: Reader, rest: string): void {
  const end = rest.indexOf("\\E");
  const literal = end === -1 ? rest.slice(2) : rest.slice(2, end);
  // One piece a character: a quantifier after it is about the last one only.
  for (const char of literal) reader.pieces.push(escaped(char));
  reader.at += end === -1 ? rest.length : end + 2;
  if (literal !== "") readQuantifier(reader, reader.pieces.length - 1);
}

const escaped = (char: string) => char.replace(/[\\^$.*+?()[\]{}|/-]/, (special) => code(special));
const code = (char: string) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;

/** An escape that stands for characters, in a class or outside of it; without brackets of its own. */
function readCharacter(reader: Reader): string {
  const rest = reader.source.slice(reader.at);
  const char = rest[1] ?? "";
  const hex = /^\\x(?:\{([0-9a-fA-F]{1,4})\}|([0-9a-fA-F]{0,2}))/.exec(rest);
  const property = /^\\[pP](?:\{\^?[\w=]+\}|[A-Z])/.exec(rest)?.[0];
  const octal = /^\\0[0-7]{0,2}/.exec(rest)?.[0];
  const control = /^\\c[A-Za-z]/.exec(rest)?.[0];
  const read = (text: string, as: string) => {
    reader.at += text.length;
    return as;
  };
  if (hex) return read(hex[0], code(String.fromCharCode(Number.parseInt(hex[1] ?? (hex[2] || "0"), 16))));
  if (octal) return read(octal, code(String.fromCharCode(Number.parseInt(octal.slice(2) || "0", 8))));
  if (control) return read(control, control);
  if (property) {
    reader.unicode = true;
    const short = property.length === 3 ? `${property.slice(0, 2)}{${property[2]}}` : property;
    return read(property, short.includes("{^") ? `\\P${short.slice(2).replace("^", "")}` : short);
  }
  const range = SHORT[char];
  if (range !== undefined) return read(`\\${char}`, range);
  if (char === "e") return read("\\e", "\\u001b");
  if (char === "a") return read("\\a", "\\u0007");
  if (/[dDwWsStnrf]/.test(char)) return read(`\\${char}`, `\\${char}`);
  if (/[A-Za-z0-9]/.test(char)) throw new Error(`\\${char} is not understood at ${reader.at}`);
  return read(`\\${char}`, escaped(char));
}

const POSIX: Readonly<Record<string, string>> = {
  alnum: "0-9A-Za-z",
  alpha: "A-Za-z",
  ascii: "\\u0000-\\u007f",
  blank: "\\t ",
  cntrl: "\\u0000-\\u001f\\u007f",
  digit: "0-9",
  graph: "!-~",
  lower: "a-z",
  print: " -~",
  punct: "!-\\u002f:-@\\u005b-`\\u007b-~",
  space: "\\t-\\r ",
  upper: "A-Z",
  word: "0-9A-Z_a-z",
  xdigit: "0-9A-Fa-f",
};
const NOT_POSIX: Readonly<Record<string, string>> = {
  alnum: "\\u0000-\\u002f:-@\\u005b-`\\u007b-\\uffff",
  alpha: "\\u0000-@\\u005b-`\\u007b-\\uffff",
  ascii: "\\u0080-\\uffff",
  blank: "\\u0000-\\b\\n-\\u001f!-\\uffff",
  cntrl: " -~\\u0080-\\uffff",
  digit: "\\D",
  graph: "\\u0000- \\u007f-\\uffff",
  lower: "\\u0000-`\\u007b-\\uffff",
  print: "\\u0000-\\u001f\\u007f-\\uffff",
  punct: "\\u0000- 0-9A-Za-z\\u007f-\\uffff",
  space: "\\u0000-\\b\\u000e-\\u001f!-\\uffff",
  upper: "\\u0000-@\\u005b-\\uffff",
  word: "\\W",
  xdigit: "\\u0000-\\u002f:-@G-`g-\\uffff",
};

function readClass(reader: Reader): void {
  const { source } = reader;
  let text = source[reader.at + 1] === "^" ? "[^" : "[";
  reader.at += text.length;
  for (let first = true; ; first = false) {
    const char = source[reader.at];
    if (char === undefined) throw new Error("a class is not closed");
    if (char === "]" && !first) break;
    const posix = /^\[:(\^?)([a-z]+):\]/.exec(source.slice(reader.at));
    if (posix) {
      const ranges = (posix[1] === "" ? POSIX : NOT_POSIX)[posix[2] ?? ""];
      if (ranges === undefined) throw new Error(`${posix[0]} is not understood at ${reader.at}`);
      text += ranges;
      reader.at += posix[0].length;
    } else if (char === "\\") {
      text += classEscape(reader);
    } else {
      text += /[[\]]/.test(char) ? `\\${char}` : char;
      reader.at += 1;
    }
  }
  reader.at += 1;
  reader.pieces.push(`${text}]`);
}

function classEscape(reader: Reader): string {
  const char = reader.source[reader.at + 1] ?? "";
  if (char === "b") {
    reader.at += 2;
    return "\\b";
  }
  if (char === "Q" || char === "E" || NOT_SHORT[char] !== undefined)
    throw new Error(`\\${char} in a class is not understood at ${reader.at}`);
  return readCharacter(reader);
}

/** Gives JavaScript's numbers to the groups, in the order in which they open. */
function assemble(reader: Reader): { text: string; numbers: number[] | null } {
  const numbers = [0];
  const ofPiece = new Map<Piece, number>();
  let count = 0;
  for (const piece of reader.pieces) {
    if (typeof piece === "string" || !("open" in piece)) continue;
    ofPiece.set(piece, ++count);
    if (piece.open !== "atomic") numbers[piece.open] = count;
  }
  const text = reader.pieces.map((piece) => {
    if (typeof piece === "string") return piece;
    if ("open" in piece) return "(";
    const number = "same" in piece ? ofPiece.get(piece.same) : numbers[piece.refer];
    if (number === undefined) throw new Error("a reference names a group that is not there");
    return `(?:\\${number})`;
  });
  return { text: text.join(""), numbers: numbers.every((number, at) => number === at) ? null : numbers };
}
