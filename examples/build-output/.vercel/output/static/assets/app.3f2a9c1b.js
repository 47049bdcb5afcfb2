console.log("A file with a content hash in its name never changes.");
