#include "agent/core/tree.h"

namespace slipway::agent {

Result<Tree> read_tree(ByteSpan index, std::string_view what) {
    Tree tree;
    return for_each_entry(index, what,
                          [&](const IndexEntry& entry) -> Result<> {
                              const auto number = static_cast<std::uint32_t>(tree.entries.size());
                              tree.entries.push_back(entry);
                              switch (entry.kind) {
                              case EntryKind::directory:
                                  tree.directories.push_back(number);
                                  break;
                              case EntryKind::file:
                                  tree.files.push_back(number);
                                  break;
                              case EntryKind::symlink:
                                  tree.symlinks.push_back(number);
                                  break;
                              case EntryKind::hard_link:
                                  tree.hard_links.push_back(number);
                                  break;
                              }
                              return {};
                          })
        .map([&](const IndexSummary& summary) {
            tree.bytes = summary.tree_bytes;
            return std::move(tree);
        });
}

std::size_t chunks_of(const Tree& tree) {
    std::size_t count = 0;
    for (const auto number : tree.files) {
        count += tree.entries[number].chunks.size();
    }
    return count;
}

ChunkRef chunk_of(const IndexEntry& entry, std::size_t i) {
    return {ChunkKey::of(entry.chunks[i]), chunk_length(entry.bytes, i)};
}

ChunkKey content_key(const IndexEntry& entry) {
    if (entry.chunks.size() == 1) {
        return ChunkKey::of(entry.chunks.front());
    }
    Sha256 hash;
    for (const auto& digest : entry.chunks) {
        hash.update(digest.bytes);
    }
    return ChunkKey::of(hash.finish());
}

SplitPath split_path(std::string_view path) {
    const auto slash = path.rfind('/');
    if (slash == std::string_view::npos) {
        return {{}, path};
    }
    return {path.substr(0, slash), path.substr(slash + 1)};
}

} // namespace slipway::agent
