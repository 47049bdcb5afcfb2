export default defineNuxtConfig({
  compatibilityDate: "2026-01-01",
  telemetry: false,
  routeRules: {
    "/": { prerender: true },
    "/cached": { isr: 3600 },
    "/old": { redirect: { to: "/", statusCode: 301 } },
    "/item/**": { headers: { "x-app": "nuxt" } },
  },
});
