import { expect, test } from "vitest";
import { AppError } from "../foundation/errors.ts";
import { parseArguments, positiveNumber } from "./arguments.ts";
import { deploy } from "./commands/deploy.ts";
import { list } from "./commands/list.ts";
import { findCommand } from "./run-cli.ts";
import { editDistance, suggest } from "./suggest.ts";

test.each([
  { argv: [], positionals: [], env: null, force: false },
  { argv: [".", "--env", "production"], positionals: ["."], env: "production", force: false },
  { argv: ["--env=staging", "-f", "app"], positionals: ["app"], env: "staging", force: true },
  { argv: ["-e", "preview", "--force"], positionals: [], env: "preview", force: true },
  { argv: ["--", "-odd-name"], positionals: ["-odd-name"], env: null, force: false },
])("deploy $argv", ({ argv, positionals, env, force }) => {
  const args = parseArguments(deploy, argv);
  expect(args.positionals).toEqual(positionals);
  expect(args.text("env")).toBe(env);
  expect(args.flag("force")).toBe(force);
});

test.each([
  { argv: ["--evn", "production"], message: "no option --evn", hint: "--env" },
  { argv: ["--env", "prodution"], message: "--env prodution is not one of", hint: "Did you mean production" },
  { argv: ["--env", "prod"], message: "is not one of", hint: "Did you mean production" },
  { argv: ["--env"], message: "--env needs a value: preview, staging, production", hint: "Usage:" },
  { argv: ["--env", "--json"], message: "--env needs a value", hint: "Usage:" },
  { argv: ["--branch="], message: "--branch needs a value: <name>", hint: "Usage:" },
  { argv: ["--force=yes"], message: 'takes no value, but "yes"', hint: "Usage:" },
  { argv: ["a", "b"], message: 'does not know what to do with "b"', hint: "[path | git URL]" },
  { argv: ["-x"], message: "no option -x", hint: "signalbox help deploy" },
])("deploy $argv is an error of usage that says what was meant", ({ argv, message, hint }) => {
  const error = thrownBy(() => parseArguments(deploy, argv));
  expect(error).toMatchObject({ code: "bad_request" });
  expect(error.message).toContain(message);
  expect(error.hint).toContain(hint);
});

test.each(["0", "-3", "1.5", "ten"])("--limit=%s is refused", (text) => {
  const args = parseArguments(list, [`--limit=${text}`]);
  expect(thrownBy(() => positiveNumber(args, "limit")).message).toContain(`not "${text}"`);
});

test("two words are one command when there is such a one", () => {
  expect(findCommand(["gateway", "reload", "--json"])).toMatchObject([
    { name: "gateway reload" },
    ["--json"],
  ]);
  expect(thrownBy(() => findCommand(["gateway"])).hint).toContain("signalbox gateway reload");
  expect(findCommand([])).toEqual(["help", []]);
  expect(findCommand(["-v"])).toEqual(["version", []]);
});

test.each([
  ["rollbakc", "rollback"],
  ["stat", "status"],
  ["lsit", "list"],
  ["DEPLOY", "deploy"],
  ["kubernetes", null],
])("%s: meant was %s", (typed, meant) => {
  expect(suggest(typed, ["deploy", "status", "list", "rollback"])).toBe(meant);
});

test.each([
  ["", "abc", 3],
  ["abc", "abc", 0],
  ["ab", "ba", 1],
  ["kitten", "sitting", 3],
])("from %s to %s it takes %i edits", (a, b, distance) => {
  expect(editDistance(a, b)).toBe(distance);
});

function thrownBy(act: () => unknown): AppError {
  try {
    act();
  } catch (error) {
    if (error instanceof AppError) return error;
  }
  throw new Error("nothing was thrown");
}
