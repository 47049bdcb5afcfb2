export const dynamic = "force-dynamic";

export function GET(request: Request) {
  const { searchParams } = new URL(request.url);
  return Response.json({ method: "GET", query: Object.fromEntries(searchParams) });
}

export async function POST(request: Request) {
  const body = await request.text();
  return Response.json({ method: "POST", body, type: request.headers.get("content-type") }, { status: 201 });
}
