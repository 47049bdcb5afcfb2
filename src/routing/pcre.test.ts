import { describe, expect, it } from "vitest";
import { translatePcre } from "./pcre.ts";

/** What the pattern catches, by PCRE's numbers; null: no match. */
function caught(source: string, text: string, caseSensitive = true): (string | undefined)[] | null {
  const { regexp, numbers } = translatePcre(source, caseSensitive);
  const match = regexp.exec(text);
  return match === null ? null : (numbers ?? [...match.keys()]).map((number) => match[number]);
}

describe("a PCRE", () => {
  it.each<[what: string, source: string, yes: string[], no: string[]]>([
    ["plain", "^/a.c$", ["/abc"], ["/ac", "x/abc"]],
    ["escaped slashes", "^\\/a\\/b$", ["/a/b"], ["/ab"]],
    ["escaped letters that are none", "^\\-\\_\\@\\!$", ["-_@!"], []],
    ["braces and brackets as themselves", "^a{b}]{,2}$", ["a{b}]{,2}"], []],
    ["quantifiers", "^a{2}b{1,}c{0,1}$", ["aab", "aabbc"], ["ab", "aabcc"]],
    ["lazy quantifiers", "^(.+?)/?$", ["/a/"], [""]],
    ["possessive quantifiers", "^a++b$", ["aab"], ["b"]],
    ["possessive quantifiers that give nothing back", "^a*+a$", [], ["aaa"]],
    ["possessive groups", "^(?:ab|a)?+b$", ["abb", "b"], ["ab"]],
    ["atomic groups", "^(?>a|ab)c$", ["ac"], ["abc"]],
    ["flags at the start", "(?i)^/abc$", ["/ABC"], []],
    ["flags for the rest of a group", "^(a(?i)b|c)d$", ["aBd", "Cd"], ["ABd", "abD"]],
    ["flags for a group", "^(?i:a)b$", ["Ab"], ["AB"]],
    ["flags that are taken away", "(?i)^a(?-i)b$", ["Ab"], ["AB"]],
    ["spaces and comments with x", "(?x) ^ a b # a comment\n c [ ] $", ["abc "], ["a b c"]],
    ["comments", "^a(?#b)c$", ["ac"], ["abc"]],
    ["ends", "\\Aa\\z", ["a"], ["a\n", "ba"]],
    ["the end before a line's end", "\\Aa\\Z", ["a", "a\n"], ["a\nb"]],
    ["horizontal space", "^a\\hb\\Hc$", ["a b-c", "a\tb-c"], ["a\nb-c", "a b c"]],
    ["vertical space", "^a\\vb\\V$", ["a\nbc"], ["a bc"]],
    ["any line's end", "^a\\Rb\\N$", ["a\r\nbc", "a\nbc"], ["a\nb\n"]],
    ["POSIX classes", "^[[:alpha:]_]+[^[:space:]][[:^digit:]]$", ["ab_-x"], ["1-x", "a x", "a-1"]],
    ["POSIX punctuation", "^[[:punct:]]+$", ["!/:@[`{~]\\-^"], ["a", " "]],
    ["a bracket first in a class", "^[]a]+$", ["]a"], ["b"]],
    ["a bracket in a class", "^[[a]+$", ["[a"], ["]"]],
    ["ranges and escapes in a class", "^[\\w.\\-\\]\\x41]+$", ["a.-]"], ["/"]],
    ["hexadecimal and octal", "^\\x41\\x{42}\\063$", [], ["AB"]],
    ["quoted text", "^\\Qa.b*\\E+$", ["a.b**"], ["axb"]],
    ["lookaround", "^(?!static)(?=a)(?<!x)(?<=^)a$", ["a"], []],
    ["properties", "^\\p{Lu}\\pL\\P{L}$", ["Éé1"], ["éé1"]],
    [
      "names of Python, Perl and .NET",
      "^(?P<a>x)(?<b>y)(?'c'z)(?P=a)\\k<b>\\k'c'\\g{a}$",
      ["xyzxyzx"],
      ["xyzxyzy"],
    ],
    ["back references", "^(a|b)\\1(c)\\g{-1}\\g2$", ["aaccc"], ["abccc"]],
  ])("can have %s", (_, source, yes, no) => {
    for (const text of yes) expect(caught(source, text), text).not.toBeNull();
    for (const text of no) expect(caught(source, text), text).toBeNull();
  });

  it("keeps its groups' numbers where the translation needs groups of its own", () => {
    expect(caught("^(a++)(?>b(c))(d)\\2$", "aabcdc")).toEqual(["aabcdc", "aa", "c", "d"]);
    expect(caught("^(a)(b)?$", "a")).toEqual(["a", "a", undefined]);
  });

  it.each([
    ["/(?R)", /\(\?R\)/],
    ["/(a)(?1)", /\(\?1\)/],
    ["/(*FAIL)", /\(\*FA/],
    ["/(?|a|b)", /\(\?\|a/],
    ["/(?(1)a)", /\(\?\(1/],
    ["/a\\Kb", /\\K/],
    ["/\\Ga", /\\G/],
    ["/(?U)a+", /flags/],
    ["/[[:word:]", /not closed/],
    ["/[[:latin:]]", /latin/],
    ["/(a", /not closed/],
    ["/a)", /too many/],
    ["/\\2", /not there/],
    ["/a\\", /backslash/],
  ])("%s is refused", (source, problem) => {
    expect(() => translatePcre(source, true)).toThrow(problem);
  });
});
