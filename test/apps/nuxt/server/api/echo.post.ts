export default defineEventHandler(async (event) => {
  setResponseStatus(event, 201);
  return { method: "POST", body: await readRawBody(event) };
});
