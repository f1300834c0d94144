// How many threads a process may use: what control groups and the environment say.

#include <filesystem>
#include <fstream>
#include <map>
#include <optional>

#include "catch2.hpp"
#include "run/cpu_quota.hpp"
#include "run/environment.hpp"

namespace taut_test {
namespace {

// A directory that stands for the root of a file system, and that is gone afterwards.
class FakeRoot {
 public:
  explicit FakeRoot(const std::map<std::string, std::string>& files) {
    for (const auto& [name, content] : files) {
      const std::filesystem::path path = root_ / name;
      std::filesystem::create_directories(path.parent_path());
      std::ofstream(path) << content << '\n';
    }
  }
  ~FakeRoot() { std::filesystem::remove_all(root_); }
  FakeRoot(const FakeRoot&) = delete;
  FakeRoot& operator=(const FakeRoot&) = delete;

  std::optional<int> quota() const { return taut::find_cpu_quota(root_.string()); }

 private:
  std::filesystem::path root_ = std::filesystem::temp_directory_path() /
                                ("taut-" + std::to_string(reinterpret_cast<std::uintptr_t>(this)));
};

const std::string kSecondVersion =
    "24 1 0:22 / /proc rw - proc proc rw\n"
    "29 23 0:26 / /sys/fs/cgroup rw,nosuid,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate";
const std::string kFirstVersion =
    "31 23 0:28 / /sys/fs/cgroup rw shared:9 - tmpfs tmpfs rw,mode=755\n"
    "33 31 0:30 / /sys/fs/cgroup/cpuset rw shared:15 - cgroup cgroup rw,cpuset\n"
    "34 31 0:31 / /sys/fs/cgroup/cpu,cpuacct rw shared:16 - cgroup cgroup rw,cpu,cpuacct";

TEST_CASE("without control groups there is no quota") {
  CHECK(FakeRoot({}).quota() == std::nullopt);
  CHECK(FakeRoot({{"proc/self/mountinfo", "24 1 0:22 / /proc rw - proc proc rw"},
                  {"proc/self/cgroup", "0::/"}})
            .quota() == std::nullopt);
}

TEST_CASE("the second version's quota is rounded up") {
  const std::map<std::string, int> quotas{{"100000 100000", 1}, {"1000 100000", 1},
                                          {"150000 100000", 2}, {"400000 100000", 4},
                                          {"25000 10000", 3},   {"100000 1000000", 1}};
  for (const auto& [quota, processors] : quotas) {
    INFO(quota);
    const FakeRoot root({{"proc/self/mountinfo", kSecondVersion},
                         {"proc/self/cgroup", "0::/user.slice/one.scope"},
                         {"sys/fs/cgroup/user.slice/one.scope/cpu.max", quota}});
    CHECK(root.quota() == processors);
  }
}

TEST_CASE("what is no quota is none") {
  for (const char* quota : {"max 100000", "", "max", "0 0", "-1 100000", "100000", "nonsense"}) {
    INFO(quota);
    const FakeRoot root({{"proc/self/mountinfo", kSecondVersion},
                         {"proc/self/cgroup", "0::/one"},
                         {"sys/fs/cgroup/one/cpu.max", quota}});
    CHECK(root.quota() == std::nullopt);
  }
}

TEST_CASE("every group around this one counts") {
  std::map<std::string, std::string> files{{"proc/self/mountinfo", kSecondVersion},
                                           {"proc/self/cgroup", "0::/a/b/c"},
                                           {"sys/fs/cgroup/a/b/c/cpu.max", "max 100000"},
                                           {"sys/fs/cgroup/a/cpu.max", "300000 100000"},
                                           {"sys/fs/cgroup/other/cpu.max", "100000 100000"}};
  CHECK(FakeRoot(files).quota() == 3);
  files["sys/fs/cgroup/a/b/cpu.max"] = "200000 100000";
  CHECK(FakeRoot(files).quota() == 2);
  files["sys/fs/cgroup/cpu.max"] = "90000 100000";
  CHECK(FakeRoot(files).quota() == 1);
}

TEST_CASE("in a container's own namespace the mount is its group") {
  CHECK(FakeRoot({{"proc/self/mountinfo", kSecondVersion},
                  {"proc/self/cgroup", "0::/"},
                  {"sys/fs/cgroup/cpu.max", "200000 100000"}})
            .quota() == 2);
  // A process from outside sees where it is from there.
  CHECK(FakeRoot({{"proc/self/mountinfo", kSecondVersion},
                  {"proc/self/cgroup", "0::/../../elsewhere"},
                  {"sys/fs/cgroup/cpu.max", "200000 100000"}})
            .quota() == 2);
}

TEST_CASE("the first version has its quota in two files") {
  std::map<std::string, std::string> files{
      {"proc/self/mountinfo", kFirstVersion},
      {"proc/self/cgroup", "4:cpuset:/set\n3:cpu,cpuacct:/a/b\n1:name=systemd:/"},
      {"sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_quota_us", "250000"},
      {"sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_period_us", "100000"},
      {"sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "-1"},
      {"sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000"}};
  CHECK(FakeRoot(files).quota() == 3);
  files["sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us"] = "50000";
  CHECK(FakeRoot(files).quota() == 1);
}

TEST_CASE("a container of the first version may be mounted at its own group") {
  const std::string mounted =
      "34 31 0:31 /docker/0af1 /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct";
  const FakeRoot root({{"proc/self/mountinfo", mounted},
                       {"proc/self/cgroup", "3:cpu,cpuacct:/docker/0af1"},
                       {"sys/fs/cgroup/cpu/cpu.cfs_quota_us", "400000"},
                       {"sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000"}});
  CHECK(root.quota() == 4);
  // Another group whose name begins alike is not below it.
  const FakeRoot other({{"proc/self/mountinfo", mounted},
                        {"proc/self/cgroup", "3:cpu,cpuacct:/docker/0af12/x"},
                        {"sys/fs/cgroup/cpu/2/x/cpu.cfs_quota_us", "100000"},
                        {"sys/fs/cgroup/cpu/2/x/cpu.cfs_period_us", "100000"},
                        {"sys/fs/cgroup/cpu/cpu.cfs_quota_us", "400000"},
                        {"sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000"}});
  CHECK(other.quota() == 4);
}

TEST_CASE("both versions side by side both count") {
  const FakeRoot root(
      {{"proc/self/mountinfo",
        kFirstVersion + "\n40 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw"},
       {"proc/self/cgroup", "3:cpu,cpuacct:/a\n0::/b"},
       {"sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "700000"},
       {"sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000"},
       {"sys/fs/cgroup/unified/b/cpu.max", "500000 100000"}});
  CHECK(root.quota() == 5);
}

TEST_CASE("a mount's spaces are escaped") {
  const FakeRoot root({{"proc/self/mountinfo", "29 23 0:26 / /my\\040groups rw - cgroup2 none rw"},
                       {"proc/self/cgroup", "0::/a"},
                       {"my groups/a/cpu.max", "200000 100000"}});
  CHECK(root.quota() == 2);
}

TEST_CASE("OMP_NUM_THREADS is a list whose first number counts") {
  for (const char* text : {"3", " 3 ", "3,2", "3 , 2,1", "+3", "03"}) {
    INFO(text);
    CHECK(taut::parse_num_threads(text) == 3);
  }
  for (const char* text :
       {"", " ", "0", "-3", "3,", ",3", "3,0", "3,x", "x", "3x", "3.5", "3 2", "99999999999"}) {
    INFO(text);
    CHECK(taut::parse_num_threads(text) == std::nullopt);
  }
}

TEST_CASE("OMP_STACKSIZE is in kibibytes unless it says otherwise") {
  const std::map<std::string, std::size_t> sizes{
      {"512", 512u << 10}, {"512K", 512u << 10}, {" 512 k ", 512u << 10}, {"2M", 2u << 20},
      {"1g", 1u << 30},    {"65536B", 65536},    {"65536b", 65536}};
  for (const auto& [text, bytes] : sizes) {
    INFO(text);
    CHECK(taut::parse_stack_size(text) == bytes);
  }
  for (const char* text : {"", "K", "0", "-1M", "1T", "1 M M", "99999999999999999999G", "1e3"}) {
    INFO(text);
    CHECK(taut::parse_stack_size(text) == std::nullopt);
  }
}

}  // namespace
}  // namespace taut_test
