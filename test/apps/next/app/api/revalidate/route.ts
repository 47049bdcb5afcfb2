import { revalidatePath } from "next/cache";

export function POST() {
  revalidatePath("/isr");
  return Response.json({ revalidated: true });
}
