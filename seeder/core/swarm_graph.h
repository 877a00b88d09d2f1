#pragma once

#include <cstdint>
#include <map>
#include <vector>

namespace slipway::seeder {

struct GraphOptions {
    /// Edges of a host inside its zone. Random graphs of 8 edges have short ways everywhere and
    /// come apart practically never; each edge more takes requests and uplink from the others.
    std::uint32_t degree = 8;
    /// From each zone to other zones of its region, and one more for so many hosts. A link carries
    /// about a ninth of a host's uplink, and most pieces come to a zone from outside.
    std::uint32_t long_links_min = 12;
    std::uint32_t hosts_per_link = 16;
    std::uint32_t first_tier = 8; ///< Hosts of a region that fetch from the source.
};

/// Where a host stands. Numbers are the caller's; a zone number is one zone of one region.
struct Place {
    std::uint32_t region = 0;
    std::uint32_t zone = 0;
};

/// Who exchanges pieces with whom in one swarm: a random regular graph inside each zone, a few
/// links between zones of a region, none between regions, and the first tier: hosts that fetch from
/// the source itself. It is kept so as hosts join, finish and leave, by changing few edges:
/// - a host that joins is put into the middle of random edges, which leaves the degrees of the
///   others as they were;
/// - edges between two hosts that have everything are given up, and their ends to those that lack
///   something;
/// - the neighbours of a host that left are joined to each other.
///
/// A host always has an edge or is of the first tier, so none is without a path; one that stands
/// still says so, and gets other edges and at last a place in the first tier.
///
/// Pure: equal calls with equal seeds give equal graphs. Not thread-safe. A call costs about
/// `degree` steps, whatever the size of the swarm.
class SwarmGraph {
public:
    using Node = std::uint32_t;
    struct Edge {
        Node to = 0;
        bool dials = false;     ///< This end opens the connection.
        bool long_link = false; ///< To another zone.
    };

    SwarmGraph(GraphOptions options, std::uint64_t seed);

    /// A host enters. `complete`: it has everything already and only gives.
    Node join(Place place, bool complete);
    /// It has everything from now on.
    void finish(Node node);
    /// It lacks something again.
    void resume(Node node);
    void leave(Node node);
    /// Nothing comes over the edge: both ends get another one where there is any.
    void replace(Node node, Node neighbour);
    /// The host makes no progress at all: a place in the first tier, beyond the usual number, and
    /// up to twice as many.
    void starving(Node node);

    [[nodiscard]] const std::vector<Edge>& edges(Node node) const { return nodes_[node].edges; }
    [[nodiscard]] bool first_tier(Node node) const { return nodes_[node].first_tier; }
    [[nodiscard]] bool complete(Node node) const { return nodes_[node].complete; }
    [[nodiscard]] bool present(Node node) const {
        return node < nodes_.size() && nodes_[node].present;
    }
    [[nodiscard]] std::size_t size() const { return present_; }
    [[nodiscard]] std::size_t complete_total() const { return complete_; }
    /// Nodes whose edges or tier changed since the last call; may hold one twice, and ones that
    /// left.
    [[nodiscard]] std::vector<Node> take_changed();

private:
    static constexpr std::uint32_t nowhere = 0xffffffffU;
    struct Member {
        std::vector<Edge> edges;
        std::uint32_t zone = 0;
        std::uint32_t region = 0;
        std::uint32_t place = nowhere; ///< In its zone's list of hosts that lack, or of those done.
        std::uint32_t long_links = 0;
        bool present = false;
        bool complete = false;
        bool first_tier = false;
    };
    struct Zone {
        std::uint32_t region = 0;
        std::vector<Node> lacking;
        std::vector<Node> done;
        std::uint32_t long_links = 0;
        [[nodiscard]] std::size_t size() const { return lacking.size() + done.size(); }
    };
    struct Region {
        std::vector<std::uint32_t> zones;
        std::uint32_t first_tier = 0;
    };

    Node new_node();
    std::vector<Node>& list_of(const Member& member);
    void enlist(Node node);
    void delist(Node node);
    [[nodiscard]] bool linked(Node a, Node b) const;
    void link(Node dialer, Node other, bool long_link);
    void unlink(Node a, Node b);
    [[nodiscard]] std::uint32_t spare(Node node) const;
    [[nodiscard]] Node random_of(const std::vector<Node>& nodes);
    bool split_random_edge(Node node);
    bool link_to_done(Node node);
    void fill(Node node);
    void mend(const std::vector<Node>& ends);
    void keep_long_links(std::uint32_t zone);
    void give_first_tier(std::uint32_t region);
    void take_first_tier(Node node);
    std::uint64_t random_below(std::uint64_t bound);

    GraphOptions options_;
    std::uint64_t random_;
    std::vector<Member> nodes_;
    std::vector<Node> free_;
    std::map<std::uint32_t, Zone> zones_;
    std::map<std::uint32_t, Region> regions_;
    std::vector<Node> changed_;
    std::size_t present_ = 0;
    std::size_t complete_ = 0;
};

} // namespace slipway::seeder
