import { expect, it } from "vitest";
import { resolveSettings, withoutSecrets } from "./references.ts";

it.each([
  ["https://hooks.example/T1/S3CRET", "https://hooks.example/T1/S3CRET", "https://hooks.example"],
  ["https://x.example/p4th", "https://x.example/p4th?token=1", "https://x.example"],
  ["tcp://db7.internal:5432", "db7.internal", "tcp://***:5432"],
  ["postgres://db:5432", "postgres://u:p@db:5432/shop", "postgres://db:5432"],
])("of %s, made with the secret %s, %s is shown", (text, secret, shown) => {
  const { secrets } = resolveSettings({ url: { secret: "URL" } }, () => secret);
  expect(withoutSecrets(text, secrets)).toBe(shown);
});
