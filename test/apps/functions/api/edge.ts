export const config = { runtime: "edge" };

export default function handler(request: Request) {
  return new Response(`edge ${new URL(request.url).pathname}`, { headers: { "x-runtime": "edge" } });
}
