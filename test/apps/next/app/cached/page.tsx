import { unstable_cache } from "next/cache";
import { connection } from "next/server";

const made = unstable_cache(async () => Date.now(), ["made"], { tags: ["made"] });

/** Made for each request, of data that is kept. */
export default async function Page() {
  await connection();
  return <p>made at {await made()}</p>;
}
