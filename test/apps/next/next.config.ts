import type { NextConfig } from "next";

export default {
  images: { localPatterns: [{ pathname: "/picture.png" }], qualities: [75] },
  redirects: async () => [
    { source: "/old/:path*", destination: "/dynamic/:path*", permanent: true },
    { source: "/only-with-flag", has: [{ type: "query", key: "flag" }], destination: "/", permanent: false },
  ],
  rewrites: async () => [{ source: "/rewritten", destination: "/dynamic/rewritten" }],
  headers: async () => [{ source: "/:path*", headers: [{ key: "x-app", value: "next" }] }],
} satisfies NextConfig;
