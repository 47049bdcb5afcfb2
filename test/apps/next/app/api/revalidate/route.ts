import { revalidatePath, revalidateTag } from "next/cache";

export function POST() {
  revalidatePath("/isr");
  revalidateTag("made", { expire: 0 });
  return Response.json({ revalidated: true });
}
