import type { SecretBox } from "../foundation/secret-box.ts";

/** Settings hold addresses with passwords. Sealed for their own check: in another one's row they do not open. */
export function sealSettings(box: Pick<SecretBox, "seal">, checkId: string, settings: unknown): Buffer {
  return box.seal(JSON.stringify(settings), contextOf(checkId));
}

export function openSettings(box: Pick<SecretBox, "open">, checkId: string, sealed: Uint8Array): unknown {
  return JSON.parse(box.open(sealed, contextOf(checkId)));
}

function contextOf(checkId: string): string {
  return `check:${checkId}`;
}
