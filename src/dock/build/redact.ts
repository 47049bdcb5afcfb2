/** Something that may not appear in a log, and what stands there instead. */
type Pattern = { readonly text: string; readonly label: string };

export type Redactor = {
  /** The text with every secret, in every form, replaced by `[redacted NAME]`. */
  redact(text: string): string;
  /** How many characters at the end of the text may be the beginning of a secret, and must wait for what follows. */
  undecided(text: string): number;
};

const SECRET_NAME =
  /TOKEN|SECRET|PASSW|PASSPHRASE|PWD|KEY|CREDENTIAL|AUTH|PRIVATE|COOKIE|SESSION|SALT|SIGNATURE|CERT|DSN/i;
const LONG = 8;
// A shorter secret is replaced only where it stands alone: `KEY=1` must not turn every 1 in a log into a label.
const SHORT = 4;
// Values that are the same everywhere and fill build logs: no secret, unless their name says otherwise.
const WELL_KNOWN = new Set(["production", "development"]);

/**
 * Knows the values of `env` that are secret by name, or at least 8 characters long; as they are, in base64 (at any
 * offset inside a longer text), URL-encoded and JSON-escaped, and line by line when they have several lines.
 */
export function createRedactor(env: Readonly<Record<string, string>>): Redactor {
  const patterns = new Map<string, string>();
  for (const [name, value] of Object.entries(env)) {
    if (!isSecret(name, value)) continue;
    for (const text of formsOf(value)) if (!patterns.has(text)) patterns.set(text, `[redacted ${name}]`);
  }
  // Longest first: a secret that contains another is replaced whole.
  const ordered = [...patterns]
    .map(([text, label]): Pattern => ({ text, label }))
    .sort((a, b) => b.text.length - a.text.length);
  if (ordered.length === 0) return { redact: (text) => text, undecided: () => 0 };
  const expression = new RegExp(ordered.map(expressionOf).join("|"), "g");
  return {
    redact: (text) => text.replace(expression, (found) => patterns.get(found) ?? "[redacted]"),
    undecided: (text) => longestOpenPrefix(text, ordered),
  };
}

/** By name, or by length. */
export function isSecret(name: string, value: string): boolean {
  if (value === "") return false;
  if (SECRET_NAME.test(name)) return true;
  return value.length >= LONG && !WELL_KNOWN.has(value);
}

/** Every text that shows the value to a reader who knows the encoding. */
export function formsOf(value: string): string[] {
  const lines = value.split(/\r?\n/).filter((line) => line.trim().length >= LONG);
  const parts = value.includes("\n") ? [value, value.trim(), ...lines] : [value];
  const forms = new Set<string>();
  for (const part of parts) {
    if (part === "") continue;
    forms.add(part);
    if (part.length < SHORT) continue;
    forms.add(encodeURIComponent(part.toWellFormed()));
    forms.add(new URLSearchParams([["", part]]).toString().slice(1));
    forms.add(JSON.stringify(part).slice(1, -1));
    for (const text of base64Forms(part)) forms.add(text);
  }
  return [...forms];
}

/** Base64 depends on where in its text the value begins: three alignments, each without the characters it shares. */
function base64Forms(value: string): string[] {
  const bytes = Buffer.from(value, "utf8");
  const forms: string[] = [bytes.toString("base64"), bytes.toString("base64url")];
  for (const offset of [0, 1, 2]) {
    const encoded = Buffer.concat([Buffer.alloc(offset), bytes])
      .toString("base64")
      .replace(/=+$/, "");
    const spoiltAtEnd = (offset + bytes.length) % 3 === 0 ? 0 : 1;
    const core = encoded.slice(offset === 0 ? 0 : offset + 1, encoded.length - spoiltAtEnd);
    if (core.length < LONG) continue;
    forms.push(core, core.replaceAll("+", "-").replaceAll("/", "_"));
  }
  return forms;
}

function expressionOf({ text }: Pattern): string {
  const literal = text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return text.length < SHORT ? `(?<![A-Za-z0-9_])${literal}(?![A-Za-z0-9_])` : literal;
}

function longestOpenPrefix(text: string, patterns: readonly Pattern[]): number {
  let longest = 0;
  for (const pattern of patterns) {
    const most = Math.min(pattern.text.length - 1, text.length);
    for (let length = most; length > longest; length--) {
      if (pattern.text.startsWith(text.slice(-length))) longest = length;
    }
  }
  return longest;
}
