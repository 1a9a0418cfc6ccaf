// SPDX-License-Identifier: MIT
#include "dial/proxy_choice.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace websockets {
namespace {

using Variables = std::map<std::string, std::string>;

// "kind host port userinfo"; "none"; the error.
std::string describe(const Result<Proxy>& found) {
  if (!found) return found.error().text;
  const Proxy& proxy = *found;
  if (!proxy) return "none";
  std::string text = std::to_string(static_cast<int>(proxy.kind));
  text.append(" ").append(proxy.host).append(" ").append(std::to_string(proxy.port));
  return text.append(" ").append(proxy.userinfo);
}

// The host of the proxy, or "none".
std::string chosen(const Variables& variables, std::string_view host = "example.org", bool is_tls = true) {
  const Result<Proxy> proxy = proxy_of_environment({is_tls, host, 443}, [&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
  EXPECT_TRUE(proxy) << proxy.error().text;
  return *proxy ? (*proxy).host : "none";
}

TEST(ProxyChoiceTest, ReadsProxies) {
  EXPECT_EQ(describe(parse_proxy("http://proxy:3128")), "1 proxy 3128 ");
  EXPECT_EQ(describe(parse_proxy("HTTPS://ann:s%40cret@Proxy/")), "2 proxy 443 ann:s@cret");
  EXPECT_EQ(describe(parse_proxy("socks5h://ann@[::1]")), "3 ::1 1080 ann:");
  EXPECT_EQ(describe(parse_proxy("http://proxy")), "1 proxy 80 ");
  EXPECT_EQ(describe(parse_proxy("proxy:8080")), "1 proxy 8080 ");
}

TEST(ProxyChoiceTest, NamesTheSchemes) {
  for (const char* text : {"socks5://a", "socks4://a", "ftp://a", "://a", "ws://a"}) {
    EXPECT_EQ(describe(parse_proxy(text)),
              std::string("'") + text + "' is no URL of a proxy: its scheme is none of http, https and socks5h");
  }
}

TEST(ProxyChoiceTest, ShowsNoPassword) {
  for (const char* text : {"socks5://ann:secret@a", "http://ann:secret@", "http://ann:secret@a:0", "ann:secret@a/b",
                           "http://ann:sec@ret@a", "http://ann:secret@a/b", "http://ann:sec%0aret@a"}) {
    const std::string error = describe(parse_proxy(text));
    EXPECT_NE(error.find("is no URL of a proxy"), std::string::npos) << error;
    EXPECT_EQ(error.find("ann"), std::string::npos) << error;
    EXPECT_EQ(error.find("ret"), std::string::npos) << error;
  }
}

TEST(ProxyChoiceTest, ReadsTheVariablesInOrder) {
  EXPECT_EQ(chosen({}), "none");
  Variables all = {{"ALL_PROXY", "1"}};
  EXPECT_EQ(chosen(all), "1");
  for (const auto& [name, host] : {std::pair<const char*, const char*>{"all_proxy", "2"},
                                   {"HTTPS_PROXY", "3"},
                                   {"https_proxy", "4"},
                                   {"WSS_PROXY", "5"},
                                   {"wss_proxy", "6"}}) {
    all[name] = host;
    EXPECT_EQ(chosen(all), host) << name;
  }
  EXPECT_EQ(chosen(all, "example.org", false), "2");
  for (const auto& [name, host] :
       {std::pair<const char*, const char*>{"http_proxy", "7"}, {"WS_PROXY", "8"}, {"ws_proxy", "9"}}) {
    all[name] = host;
    EXPECT_EQ(chosen(all, "example.org", false), host) << name;
  }
  EXPECT_EQ(chosen(all), "6");
}

TEST(ProxyChoiceTest, DoesNotTakeWhatAClientCanSetInCgi) {
  EXPECT_EQ(chosen({{"HTTP_PROXY", "a"}}, "example.org", false), "none");
  EXPECT_EQ(chosen({{"HTTP_PROXY", "a"}, {"ALL_PROXY", "b"}}, "example.org", false), "b");
}

TEST(ProxyChoiceTest, TakesAnEmptyVariableForNone) {
  EXPECT_EQ(chosen({{"wss_proxy", ""}, {"all_proxy", "a"}}), "none");
}

TEST(ProxyChoiceTest, NamesTheVariableThatIsMalformed) {
  const Result<Proxy> proxy = proxy_of_environment({true, "example.org", 443}, [](const char* name) {
    return std::string_view(name) == "HTTPS_PROXY" ? "socks5://ann:secret@a" : nullptr;
  });
  EXPECT_EQ(
      describe(proxy),
      "environment variable HTTPS_PROXY: 'socks5://a' is no URL of a proxy: its scheme is none of http, https and "
      "socks5h");
}

TEST(ProxyChoiceTest, GoesToThisMachineDirectly) {
  const Variables all = {{"all_proxy", "a"}};
  for (const char* host :
       {"localhost", "a.localhost", "localhost.", "127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"}) {
    EXPECT_EQ(chosen(all, host), "none") << host;
  }
  for (const char* host : {"notlocalhost", "localhost.example.org", "128.0.0.1", "::2", "10.0.0.1"}) {
    EXPECT_EQ(chosen(all, host), "a") << host;
  }
}

TEST(ProxyChoiceTest, GoesDirectlyWhereNoProxySaysSo) {
  Variables all = {{"all_proxy", "a"}, {"NO_PROXY", "example.org"}};
  EXPECT_EQ(chosen(all), "none");
  all["no_proxy"] = "";
  EXPECT_EQ(chosen(all), "a");
}

TEST(ProxyChoiceTest, ReadsNamesOfNoProxy) {
  for (const char* list : {"*", "example.org", ".example.org", "EXAMPLE.org", "example.org.", "org", "a, example.org",
                           "a example.org", ",,example.org,", "example.org:443", ".example.org:443"}) {
    EXPECT_TRUE(is_in_no_proxy(list, "example.org", 443)) << list;
    EXPECT_TRUE(is_in_no_proxy(list, "www.example.org", 443)) << list;
    EXPECT_TRUE(is_in_no_proxy(list, "example.org.", 443)) << list;
  }
  for (const char* list : {"", ",", "www.example.org", "ample.org", "example.org.uk", "*.example.org", "example.org:80",
                           ".", "..", "example", "example.org:x", "[example.org]", "10.0.0.0/8"}) {
    EXPECT_FALSE(is_in_no_proxy(list, "example.org", 443)) << list;
  }
}

TEST(ProxyChoiceTest, ReadsAddressesOfNoProxy) {
  for (const char* list : {"*", "10.1.2.3", "10.0.0.0/8", "0.0.0.0/0", "10.1.2.3/32", "10.1.2.3:80", "a,10.1.2.3"}) {
    EXPECT_TRUE(is_in_no_proxy(list, "10.1.2.3", 80)) << list;
  }
  for (const char* list : {"10.1.2.4", "10.2.0.0/16", "10.1.2.3:81", "2.3", ".2.3", "10.0.0.0/33", "::/0/1", "10"}) {
    EXPECT_FALSE(is_in_no_proxy(list, "10.1.2.3", 80)) << list;
  }
  for (const char* list : {"2001:db8::1", "2001:db8::/32", "[2001:db8::1]", "[2001:db8::1]:80", "2001:DB8:0::1"}) {
    EXPECT_TRUE(is_in_no_proxy(list, "2001:db8::1", 80)) << list;
  }
  for (const char* list : {"2001:db8::2", "[2001:db8::1]:81", "10.0.0.0/8", "2001:db9::/32"}) {
    EXPECT_FALSE(is_in_no_proxy(list, "2001:db8::1", 80)) << list;
  }
  EXPECT_TRUE(is_in_no_proxy("fe80::/10", "fe80::1%eth0", 80));
}

}  // namespace
}  // namespace websockets
