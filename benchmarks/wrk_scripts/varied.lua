-- The fields of browser.lua from many browsers: path, client, session and referring page differ.
local count = 0
local agents = {}
for major = 100, 139 do
    agents[#agents + 1] = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/" .. major .. ".0.0.0 Safari/537.36"
end

request = function()
    count = count + 1
    local headers = wrk.headers
    headers["Connection"] = "keep-alive"
    headers["Upgrade-Insecure-Requests"] = "1"
    headers["User-Agent"] = agents[count % #agents + 1]
    headers["Accept"] = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8"
    headers["Sec-CH-UA"] = '"Chromium";v="131", "Not_A Brand";v="24"'
    headers["Sec-CH-UA-Mobile"] = "?0"
    headers["Sec-CH-UA-Platform"] = '"Linux"'
    headers["Sec-Fetch-Site"] = "same-origin"
    headers["Sec-Fetch-Mode"] = "navigate"
    headers["Referer"] = "http://127.0.0.1/products?page=" .. count
    headers["Accept-Encoding"] = "gzip, deflate, br, zstd"
    headers["Cookie"] = "sessionid=" .. (count * 7919) .. "ab5595859014ebf0951522d9; csrftoken=p4QyK0vLxE; theme=dark"
    return wrk.format("GET", "/?item=" .. count, headers)
end
