import ms from "ms";

export function GET(request: Request) {
  const { pathname, searchParams } = new URL(request.url);
  return Response.json({ pathname, query: Object.fromEntries(searchParams), day: ms("1d") });
}

export async function POST(request: Request) {
  return Response.json({ body: await request.text() }, { status: 201 });
}
