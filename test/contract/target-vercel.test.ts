import { systemClock } from "../../src/foundation/clock.ts";
import { createVercelTarget } from "../../src/providers/target/vercel.ts";
import { startPlatform, TOKEN } from "../support/dock-platform.ts";
import { targetContract } from "./target.ts";

targetContract("vercel", async () => {
  const platform = await startPlatform();
  const target = createVercelTarget(
    { clock: systemClock },
    {
      api: platform.url,
      token: TOKEN,
      team: null,
      domain: "localhost",
      publicScheme: "http",
      publicPort: null,
    },
  );
  return {
    target,
    visit: (host, headers) => platform.visit(host, "/", headers),
    close: () => platform.close(),
  };
});
