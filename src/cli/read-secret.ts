import { usageError } from "./arguments.ts";
import type { Context } from "./context.ts";

/** A value that must not stand in the shell's history: all of stdin, less the newline at its end. */
export async function readSecret({ io, note }: Context, name: string): Promise<string> {
  const input = io.stdin;
  if (input === undefined) throw usageError("There is no input to read the value from.", EXAMPLE);
  if (input.isTTY === true)
    note(`Type or paste the value of ${name}, then Enter and Ctrl-D. It is shown as you type.`);
  let text = "";
  for await (const chunk of input) text += String(chunk);
  const value = text.replace(/\r?\n$/, "");
  if (value === "") throw usageError("The value is empty.", EXAMPLE);
  return value;
}

const EXAMPLE = 'Pipe it in: printf %s "$VALUE" | signalbox secret set NAME';
