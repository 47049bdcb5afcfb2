import { usageError } from "../arguments.ts";
import { connect } from "../client/connect.ts";
import { normalizeUrl, saveCredentials } from "../client/credentials.ts";
import { listPath } from "../client/deployment.ts";
import type { Command } from "../command.ts";
import { EXIT } from "../exit-code.ts";

export const login: Command = {
  name: "login",
  summary: "store the token of a control plane and use that one from now on",
  positionals: { usage: "[url]", max: 1 },
  options: {
    url: { type: "string", value: "url", help: "the control plane's address" },
    token: {
      type: "string",
      value: "token",
      help: "default: SIGNALBOX_TOKEN, which leaves no trace in the history",
    },
  },
  examples: ["SIGNALBOX_TOKEN=… signalbox login https://deploy.example.com"],
  async run(context, args) {
    const { config, clock } = context;
    const url = httpUrl(args.text("url") ?? args.positionals[0] ?? config.cli.url);
    const token = args.text("token") ?? config.cli.token;
    if (token === null) {
      throw usageError(
        "`signalbox login` needs a token.",
        "Give --token or set SIGNALBOX_TOKEN. `signalbox up` prints the owner's token, once.",
      );
    }
    const api = connect({ url, token }, config, clock);
    try {
      // Any request that needs a token tells whether this one is good; a wrong one is not stored.
      await api.get(listPath({ limit: 1 }));
    } finally {
      api.close();
    }
    await saveCredentials(config.cli.credentialsFile, url, token);
    if (context.json) context.printJson({ url, credentialsFile: config.cli.credentialsFile });
    else
      context.print(
        `${context.paint.green("✓")} Logged in to ${url}. Stored in ${config.cli.credentialsFile}`,
      );
    return EXIT.ok;
  },
};

function httpUrl(text: string | null): string {
  if (text === null) {
    throw usageError("`signalbox login` needs an address.", "signalbox login --url https://… --token …");
  }
  const url = URL.parse(text);
  if (url !== null && (url.protocol === "http:" || url.protocol === "https:")) return normalizeUrl(text);
  throw usageError(`"${text}" is no address of a control plane.`, "It begins with http:// or https://.");
}
