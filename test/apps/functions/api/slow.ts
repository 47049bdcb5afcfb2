import { setTimeout } from "node:timers/promises";

export async function GET() {
  await setTimeout(5_000);
  return new Response("too late");
}
