import { type NextRequest, NextResponse } from "next/server";

export const config = { matcher: ["/dynamic/:path*", "/guarded"] };

export function middleware(request: NextRequest) {
  if (request.nextUrl.pathname === "/guarded") return new NextResponse("guarded", { status: 401 });
  const response = NextResponse.next();
  response.headers.set("x-middleware-saw", request.nextUrl.pathname);
  return response;
}
