import { createHmac, timingSafeEqual } from "node:crypto";
import { cookieValue } from "./cookies.ts";
import { BUCKETS, type Pin } from "./pick.ts";

export const STICKY_COOKIE = "signalbox-sticky";
// Longer than any rollout should take; a visitor who comes back later is bucketed again, to the same result.
const MAX_AGE_S = 7 * 24 * 3_600;
// 132 bits of a SHA-256 HMAC: the cookie travels with every request, and forging it wins a release at best.
const SIGNATURE_LENGTH = 22;
const CACHED_COOKIES = 10_000;
const CACHED_ROLLOUTS = 100;

/** Reads and writes the signed sticky cookie, `<visitor>.<rollout>.<release>.<signature>`. */
export type Sticky = {
  /** The pin in a `Cookie` header, or null when there is none, or one that we did not sign. */
  read(cookieHeader: string): Pin | null;
  /** The value of a `Set-Cookie` header. */
  write(pin: Pin): string;
  /** The visitor's bucket under a rollout's salt. */
  bucket(rollout: string, visitor: string): number;
};

/** @param secret at least 16 characters; the same in every gateway that serves the same hosts */
export function createSticky(secret: string): Sticky {
  // A visitor's cookie comes with each of their requests: the two HMACs are worth remembering. Dropped whole when
  // full, which costs some HMACs and no bookkeeping for each request.
  const pins = new Map<string, Pin | null>();
  const buckets = new Map<string, Map<string, number>>();
  return {
    read(cookieHeader) {
      const value = cookieValue(cookieHeader, STICKY_COOKIE);
      if (value === null) return null;
      const known = pins.get(value);
      if (known !== undefined) return known;
      const pin = verify(secret, value);
      remember(pins, value, pin, CACHED_COOKIES);
      return pin;
    },
    write(pin) {
      const value = `${pin.visitor}.${pin.rollout}.${pin.release}`;
      const signed = `${value}.${sign(secret, value)}`;
      return `${STICKY_COOKIE}=${signed}; Path=/; Max-Age=${MAX_AGE_S}; HttpOnly; SameSite=Lax`;
    },
    bucket(rollout, visitor) {
      let ofRollout = buckets.get(rollout);
      if (ofRollout === undefined) {
        ofRollout = new Map();
        remember(buckets, rollout, ofRollout, CACHED_ROLLOUTS);
      }
      const known = ofRollout.get(visitor);
      if (known !== undefined) return known;
      const bucket = bucketOf(rollout, visitor);
      remember(ofRollout, visitor, bucket, CACHED_COOKIES);
      return bucket;
    },
  };
}

/** HMAC(salt = rollout, visitor) mod 10,000: independent of weights, so that raising one moves nobody back. */
export function bucketOf(rollout: string, visitor: string): number {
  return createHmac("sha256", rollout).update(visitor).digest().readUIntBE(0, 6) % BUCKETS;
}

function verify(secret: string, value: string): Pin | null {
  if (value.length > 512) return null;
  const [visitor, rollout, release, signature, ...rest] = value.split(".");
  if (!visitor || !rollout || !release || !signature || rest.length > 0) return null;
  const expected = Buffer.from(sign(secret, `${visitor}.${rollout}.${release}`));
  const given = Buffer.from(signature);
  return given.length === expected.length && timingSafeEqual(given, expected)
    ? { visitor, rollout, release }
    : null;
}

function sign(secret: string, value: string): string {
  return createHmac("sha256", secret).update(value).digest("base64url").slice(0, SIGNATURE_LENGTH);
}

function remember<V>(cache: Map<string, V>, key: string, value: V, limit: number): void {
  if (cache.size >= limit) cache.clear();
  cache.set(key, value);
}
