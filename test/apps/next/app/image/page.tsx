import Image from "next/image";

export default function Page() {
  return <Image src="/picture.png" alt="a picture" width={64} height={64} />;
}
