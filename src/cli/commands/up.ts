import { saveCredentials } from "../client/credentials.ts";
import type { Command } from "../command.ts";
import type { Context, UpResult } from "../context.ts";
import { EXIT } from "../exit-code.ts";
import { createScreen } from "../terminal/screen.ts";

export const up: Command = {
  name: "up",
  summary: "start everything on this machine: postgres, control plane, dock, gateway",
  positionals: { usage: "", max: 0 },
  options: { foreground: { type: "boolean", help: "stay, and stop everything on Ctrl-C" } },
  examples: ["npx signalbox up"],
  async run(context, args) {
    const foreground = args.flag("foreground");
    const screen = createScreen(context.io);
    let what = "Starting";
    screen.moving((spinner) => `${context.paint.cyan(spinner)} ${what}`);
    const log = (line: string) => {
      what = line;
      screen.line(context.paint.dim(`  ${line}`));
    };
    try {
      const result = await context.processes.up({ foreground, json: context.json, log });
      screen.moving(null);
      if (result.token !== null) {
        await saveCredentials(context.config.cli.credentialsFile, result.url, result.token);
      }
      if (context.json) context.printJson(result);
      else tell(context, result);
    } finally {
      screen.close();
    }
    if (foreground) context.note("Running in the foreground. Ctrl-C stops everything.");
    return EXIT.ok;
  },
};

function tell(context: Context, { url, dockUrl, gatewayUrl, token, pids }: UpResult): void {
  const { paint, print } = context;
  print(`${paint.green("✓")} Signalbox is up.`);
  const rows: [string, string][] = [
    ["control plane", url],
    ["dock", dockUrl],
    ["apps", gatewayUrl],
    [
      "processes",
      Object.entries(pids)
        .map(([name, pid]) => `${name} ${pid}`)
        .join("  "),
    ],
  ];
  for (const [name, value] of rows) print(`  ${paint.dim(name.padEnd(13))} ${value}`);
  if (token !== null) {
    print("");
    print(`  ${paint.dim("owner token".padEnd(13))} ${paint.bold(token)}`);
    print("  Shown this once. Keep it safe; this machine's CLI knows it already");
    print(`  (${context.config.cli.credentialsFile}).`);
  }
  print("");
  print(`  Next: ${paint.cyan("npx signalbox deploy")} in the folder of an app.`);
}
