import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "../command.ts";
import { EXIT } from "../exit-code.ts";

/**
 * Writes a configuration folder of the official `vercel` CLI that points to this machine's dock. The CLI takes it by
 * `-Q`; the login of the same user at vercel.com, which is in another folder, is not touched.
 */
export const dockLogin: Command = {
  name: "dock login",
  summary: "let the official vercel CLI and SDK use this machine's dock",
  positionals: { usage: "", max: 0 },
  options: {},
  examples: ["signalbox dock login", 'vercel -Q "$(signalbox dock login)" deploy --prod'],
  async run(context) {
    const { url, token } = await context.processes.dockAccess();
    const folder = join(context.config.dir, "vercel-cli");
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await writePrivately(join(folder, "config.json"), { api: url });
    await writePrivately(join(folder, "auth.json"), { token });
    if (context.json) context.printJson({ url, folder });
    else context.print(folder);
    context.note(`The dock speaks Vercel's API at ${url}. The official CLI uses it with this folder:`);
    context.note(`  vercel -Q ${folder} deploy --prod`);
    context.note(`For @vercel/sdk: serverURL is ${url}, bearerToken is in ${join(folder, "auth.json")}.`);
    return EXIT.ok;
  },
};

async function writePrivately(file: string, value: object): Promise<void> {
  const partial = `${file}.${process.pid}.tmp`;
  await writeFile(partial, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 });
  await rename(partial, file);
}
