import { createRequire } from "node:module";
import { Ajv } from "ajv";
import { describe, expect, it } from "vitest";
import { DEFAULT_POLICY } from "../../src/previews/policy.ts";
import { decideDelivery } from "../../src/webhooks/decide-delivery.ts";
import { RECORDED } from "../support/github-double.ts";

/** GitHub's payloads, as octokit recorded them and as octokit's schema says that they are, against what we read. */
const schema = createRequire(import.meta.url)("@octokit/webhooks-schemas") as {
  definitions: Record<string, object>;
};
const ajv = new Ajv({ strict: false, validateFormats: false });
const policy = { ...DEFAULT_POLICY, source: "github" as const, productionBranch: "master" };

describe("every payload that GitHub is recorded to have sent is understood", () => {
  it.each(RECORDED.map(({ name, examples }) => [name, examples] as const))("%s", (event, examples) => {
    for (const payload of examples) expect(() => decideDelivery(event, payload, policy)).not.toThrow();
  });
});

it.each([
  "push$event",
  "ping$event",
  "create$event",
  "delete$event",
  "pull_request$opened",
  "pull_request$closed",
])("the recorded payloads that the tests are made of are as the schema of %s says", (definition) => {
  const validate = ajv.compile({ definitions: schema.definitions, ...schema.definitions[definition] });
  const [event, action] = definition.split("$");
  const examples = RECORDED.find(({ name }) => name === event)?.examples ?? [];
  const own = examples.filter((each) => action === "event" || each.action === action);
  expect(own.length).toBeGreaterThan(0);
  // Recordings of different years: some lack a field that came later, the newest do not.
  expect(own.some((payload) => validate(payload))).toBe(true);
});
