export default defineEventHandler((event) => ({ method: "GET", query: getQuery(event) }));
