import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { mkdir, open, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { AppError, errorCodeOf } from "./errors.ts";

/**
 * Values at rest: AES-256-GCM, 12 random bytes of nonce for each, then the tag, then the ciphertext (NIST SP 800-38D).
 * `context` is authenticated with it: a value moved to another row does not open.
 */
export type SecretBox = {
  seal(text: string, context: string): Buffer;
  /** @throws AppError `internal` when the key, the context or the bytes are not the ones that sealed it. */
  open(sealed: Uint8Array, context: string): string;
};

const NONCE = 12;
const TAG = 16;

export function createSecretBox(key: Uint8Array): SecretBox {
  return {
    seal(text, context) {
      const nonce = randomBytes(NONCE);
      const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.from(context));
      const body = Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
      return Buffer.concat([nonce, cipher.getAuthTag(), body]);
    },
    open(sealed, context) {
      try {
        const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, NONCE), {
          authTagLength: TAG,
        });
        decipher.setAAD(Buffer.from(context)).setAuthTag(sealed.subarray(NONCE, NONCE + TAG));
        return decipher.update(sealed.subarray(NONCE + TAG), undefined, "utf8") + decipher.final("utf8");
      } catch (cause) {
        throw new AppError(
          "internal",
          `A sealed value (${context}) does not open with the secret key of this installation.`,
          {
            hint: "Put back the key file that this database was used with.",
            cause,
          },
        );
      }
    },
  };
}

/** Reads the 32-byte key at `path` (64 hex digits), or makes it, readable by its owner only. */
export async function readOrCreateKey(path: string): Promise<Uint8Array> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const file = await open(path, "wx", 0o600);
    try {
      await file.writeFile(`${randomBytes(32).toString("hex")}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    if (errorCodeOf(error) !== "EEXIST") throw error;
  }
  const text = (await readFile(path, "utf8")).trim();
  if (!/^[0-9a-f]{64}$/i.test(text)) {
    throw new AppError("internal", `The key file ${path} does not hold 64 hex digits.`, {
      hint: "Restore it from a backup; without it the stored variables cannot be read.",
    });
  }
  return Buffer.from(text, "hex");
}
