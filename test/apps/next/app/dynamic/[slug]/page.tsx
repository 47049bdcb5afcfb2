type Properties = {
  params: Promise<{ slug: string }>;
  searchParams: Promise<Record<string, string | string[] | undefined>>;
};

export default async function Page({ params, searchParams }: Properties) {
  const { slug } = await params;
  const query = await searchParams;
  return (
    <p>
      slug={slug} q={String(query.q ?? "none")}
    </p>
  );
}
