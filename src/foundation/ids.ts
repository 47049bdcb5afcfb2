import { randomBytes } from "node:crypto";

/** A source of new ids. A parameter of every shell, so that the simulation's runs repeat exactly. */
export type Ids = (prefix: string) => string;

// Crockford's base 32 without i, l, o and u: safe in host names and hard to misread aloud.
const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

/** `dep_` + 20 characters: 100 random bits. */
export const randomIds: Ids = (prefix) => `${prefix}_${randomText(20)}`;

/** Random lower-case text, 5 bits a character. */
export function randomText(length: number): string {
  let text = "";
  for (const byte of randomBytes(length)) text += ALPHABET[byte & 31];
  return text;
}

/** 0 ≤ x < 1, for what should not happen everywhere at once. */
export function randomShare(): number {
  return randomBytes(4).readUInt32BE() / 2 ** 32;
}
